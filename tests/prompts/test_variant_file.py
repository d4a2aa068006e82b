"""Many wordings of one instruction from a file, and our own as a family."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from truing.data.texts import instructions
from truing.prompts.rendering import Prompt
from truing.prompts.variant_file import read_variants
from truing.prompts.variants import ALL, ROLES, PromptVariant, families, prompt_variants
from truing.types import InputError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_of_text_are_instructions(tmp_path: Path) -> None:
    path = write(tmp_path / "brief.txt", "\ufeffBe brief.\n\n  Keep it short. \n")
    assert read_variants([path]) == [
        PromptVariant("brief-1", prompt=Prompt("Be brief."), family="brief"),
        PromptVariant("brief-2", prompt=Prompt("Keep it short."), family="brief"),
    ]


def test_json_has_names_line_breaks_and_slots(tmp_path: Path) -> None:
    entries = ["Q: {question}\nA:", {"name": "dots", "prompt": "{question} ...\u2028"}]
    expected = [
        PromptVariant("mine-1", template="Q: {question}\nA:", family="mine"),
        PromptVariant("dots", template="{question} ...", family="mine"),
    ]
    assert read_variants([write(tmp_path / "mine.json", json.dumps(entries, indent=1))]) == expected
    lines = "\n".join(json.dumps(entry) for entry in entries)
    assert read_variants([write(tmp_path / "mine.jsonl", lines)]) == expected
    old = read_variants([write(tmp_path / "old.txt", "Q: {0} A:\nAsk: {question} So:")])
    assert [variant.template for variant in old] == ["Q: {question} A:", "Ask: {question} So:"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.txt", "Q: {question}\n\nno slot here", r"a\.txt:3: no slot for the question"),
        ("a.txt", "be brief\nQ: {query} A:", r"a\.txt:2: \{query\} is no slot"),
        ("a.jsonl", '"a {question}"\n{"prompt": "b"}', r"a\.jsonl:2: no slot for the question"),
        ("a.json", '["a {question}",\n "b"]', r"a\.json:2: no slot for the question"),
        ("a.txt", "one\n", r"a\.txt: 1 wording in it; a spread needs at least two"),
        ("a.json", "[]", "0 wordings in it"),
        ("a.txt", "Be brief.\nshort\nBe  brief.", r"a\.txt:3: the wording of line 1 again"),
        (
            "a.jsonl",
            '{"prompt": "a", "name": "x"}\n{"prompt": "b", "name": "x"}',
            r"a\.jsonl:2: the name of line 1 again",
        ),
        ("a.jsonl", '{"promt": "a"}', r"a\.jsonl:1: promt: unknown key; did you mean 'prompt'"),
        ("a.jsonl", "3", r"a\.jsonl:1: 3 stands here"),
        ("a.jsonl", '{"prompt": " "}', r"a\.jsonl:1: prompt: not a text with something in it"),
        ("a.jsonl", "{", r"a\.jsonl:1: not valid JSON"),
        ("a.json", "{}", r"a\.json:1: no list"),
        ("a.csv", "a,b", r"the ending '\.csv' is not known"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_variants([write(tmp_path / name, text)])


def test_families_of_two_files_keep_apart(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.txt", "x\ny"), write(tmp_path / "a.json", '["v", "w"]')
    with pytest.raises(InputError, match=r"another file is called a; rename one"):
        read_variants([one, two])
    with pytest.raises(InputError, match="no such file"):
        read_variants([tmp_path / "gone.txt"])


@pytest.mark.parametrize("role", ROLES)
def test_all_of_a_role_are_a_family_in_their_order(role: str) -> None:
    found = prompt_variants([f"all-{role}"])
    assert ALL[f"all-{role}"] == role and len(found) >= 20
    assert [w.prompt.instruction for w in found if w.prompt] == list(instructions(role))  # type: ignore[arg-type]
    assert families([*found, *prompt_variants([role, "own", "none"])]) == {
        role: tuple(f"{role}-{n}" for n in range(1, len(found) + 1))
    }
    assert families(prompt_variants([role, f"{role}-1"])) == {}  # the same text twice is no spread


def grams(text: str) -> set[str]:
    """Runs of three letters: they see inflected and joined words that whole words don't."""
    letters = "".join(c for c in text.casefold() if c.isalnum() or c == " ")
    return {letters[place : place + 3] for place in range(len(letters) - 2)}


def test_our_wordings_are_varied() -> None:
    for role in ROLES:
        texts = instructions(role)
        for one, other in combinations(texts, 2):
            alike = len(grams(one) & grams(other)) / len(grams(one) | grams(other))
            assert alike < 0.6, (one, other)
        words = [len(text.split()) for text in texts]
        assert max(words) >= 3 * min(words)  # length
        assert len({text.split()[0] for text in texts}) >= 15  # form
