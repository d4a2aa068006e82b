"""Prompts by name and by file: what the model reads, to the last character."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tiny import tiny
from truing.data.questions import load_questions
from truing.data.texts import instructions
from truing.prompts.rendering import Prompt, Renderer
from truing.prompts.variants import PAPER, prompt_variants
from truing.types import InputError

OWN = Prompt("be brief")


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.json"
    texts = {"qa": "Q: a?\nA: b.", "help": "Help.\n\nQ: a?\nA: b.", "null": "Q: "}
    slots = {name: f"{name} {{0}}\nA:" for name in ("chat", "long", "harm")}
    path.write_text(json.dumps({"presets": texts | slots}))
    return path


def _text(name: str, presets: Path | None = None, form: str = "auto", chat: bool = False) -> str:
    [variant] = prompt_variants([name], presets)
    context = variant.context(Renderer(tiny(chat=chat)), OWN, "who?", form)  # type: ignore[arg-type]
    return f"{context.text}|{context.delimiter}|"


def test_the_papers_prompts_as_its_code_formats_them(presets: Path) -> None:
    assert _text("qa", presets) == "Q: a?\nA: b.\n\nQ: who?\nA:| |"
    assert _text("help", presets) == "Help.\n\nQ: a?\nA: b.\n\nQ: who?\nA:| |"
    assert _text("null", presets) == "Q: who?\n\nA:| |"
    for name in ("chat", "long", "harm"):
        assert _text(name, presets) == f"{name} who?\nA:| |"
    assert [w.name for w in prompt_variants(["qa", "paper"], presets)] == list(PAPER)


def test_instructions_and_the_own_prompt_follow_the_form() -> None:
    assert _text("own") == "be brief\n\nQ: who?\nA:| |"
    assert _text("none") == "Q: who?\nA:| |"
    assert _text("harmful-2") == f"{instructions('harmful')[1]}\n\nQ: who?\nA:| |"
    assert _text("own", chat=True) == "be brief<end><user>who?<end><bot>||"
    assert _text("own", chat=True, form="text") == "be brief\n\nQ: who?\nA:| |"


def test_a_file_with_a_slot_is_a_prompt(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Say: {question}\nSo:\n")
    assert _text(str(path)) == "Say: who?\nSo:| |"
    assert _text(str(path), chat=True) == "Say: who?\nSo:| |"
    assert _text(str(path), chat=True, form="chat") == "<user>Say: who?\nSo:<end><bot>||"


def test_presets_come_from_the_environment(presets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_PRESETS", str(presets))
    assert _text("null").startswith("Q: who?")


def test_mistakes_name_what_would_be_right(
    tmp_path: Path, presets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRUING_PRESETS", raising=False)
    (tmp_path / "no.txt").write_text("nothing here")
    presets.write_text(json.dumps({"presets": {"harm": "no slot", "qa": 3}}))
    for name, said in (
        ("helpfull", "did you mean 'helpful'"),
        ("helpful-99", "helpful-1 to helpful-"),
        (str(tmp_path / "no.txt"), r"no slot for the question; write \{question\}"),
        (str(tmp_path / "gone.txt"), "no such file"),
        ("qa", "TRUING_PRESETS"),
    ):
        with pytest.raises(InputError, match=said):
            prompt_variants([name])
    for name, said in (("harm", "no slot"), ("qa", "presets.qa: missing"), ("long", "missing")):
        with pytest.raises(InputError, match=said):
            prompt_variants([name], presets)
    with pytest.raises(InputError, match="no chat template"):
        _text("own", form="chat")


PINNED = {
    "qa": [
        (619, "add27f6e382a"),
        (682, "9f41d64ce976"),
        (609, "6b5479f46be2"),
        (633, "b5fac5205d06"),
        (619, "7bc73b1fc1b4"),
    ],
    "help": [
        (938, "dbdad103e80f"),
        (1001, "800640f8321a"),
        (928, "25cb8c97dcd3"),
        (952, "099e7fa63e94"),
        (938, "506cc14aac51"),
    ],
    "harm": [
        (564, "61c65f9bf417"),
        (627, "11a0edb16185"),
        (554, "2c55024bcb80"),
        (578, "1f6e76b0954f"),
        (564, "f1eae1b700c3"),
    ],
    "null": [
        (45, "55feafbcf65c"),
        (108, "c4e8b968056c"),
        (35, "460ac664ff15"),
        (59, "75430484d7d3"),
        (45, "e3981d8467f3"),
    ],
    "chat": [
        (175, "d5d19d326dae"),
        (238, "973ebd03e534"),
        (165, "f2590934743f"),
        (189, "bf5b05d582be"),
        (175, "cc4264ece677"),
    ],
    "long": [
        (233, "cba7f797f2da"),
        (296, "c77ad195b047"),
        (223, "7d36c203fc38"),
        (247, "9f3d3d8352d1"),
        (233, "fdb0e9246dc8"),
    ],
}
"""Length and SHA-256 of the texts, made from the paper's format by hand."""


@pytest.mark.parametrize("name", PAPER)
def test_rendered_texts_are_pinned(name: str, shared_data: Path) -> None:
    folder = shared_data / "truthfulqa"
    [variant] = prompt_variants([name], folder / "prompts.json")
    renderer = Renderer(tiny())
    found = []
    for case in load_questions(folder / "mc_task_v1.json")[:5]:
        text = variant.context(renderer, Prompt(), case.prompt, "auto").text
        found.append((len(text), hashlib.sha256(text.encode()).hexdigest()[:12]))
    assert found == PINNED[name]
