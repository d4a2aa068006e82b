"""The visible dict of methods, and what adding one takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from families import plain
from tiny import saved, tokenizer
from truing.candidates import load_candidate
from truing.methods import METHODS, Method, chosen
from truing.methods.common import save
from truing.methods.graders import Graders
from truing.methods.model_card import Made
from truing.methods.rl import rewarding_judges
from truing.methods.setup import Setup
from truing.progress import SilentProgress
from truing.prompts.rendering import Prompt
from truing.recipes.align import align
from truing.runs.run import Run
from truing.spec.reading import make_spec


def test_each_method_stands_under_its_own_name() -> None:
    assert all(name == method.name for name, method in METHODS.items())
    assert all(method.title and "\n" not in method.title for method in METHODS.values())


def test_methods_work_in_the_order_of_the_dict_and_are_shown_in_the_specs() -> None:
    spec = make_spec({"methods": ["rl", "prompt"]})
    assert [method.name for method in chosen(spec)] == ["prompt", "rl"]
    assert spec.methods == ("rl", "prompt")


def test_a_model_that_rewards_answers_and_judges_them_is_named_wherever_it_judges() -> None:
    server = "endpoint:http://127.0.0.1:9/v1#m"
    served = {"endpoint": server, "rubric": "helpful"}
    reward = {"parts": [{"name": "judge", **served}, {"name": "length", "target": 3}]}
    rule = {"id": "kind", "says": "Be kind.", "check": served}
    given: list[dict[str, Any]] = [
        {"judge": {"endpoint": server}}, {"task": {"judges": {"kind": served}}},
        {"task": {"rules": [rule]}},
    ]  # fmt: skip
    for judging in given:
        assert rewarding_judges(make_spec({"reward": reward, **judging})) == [server]
    assert rewarding_judges(make_spec({"reward": reward})) == []


def make(run: Run, setup: Setup, graders: Graders, seed: int) -> None:
    made = Made("polite", seed, Prompt("please answer."), describe(setup))
    run.stage(f"polite-seed{seed}", "Asking", "polite", lambda cost: save(run, setup, made))


def describe(setup: Setup) -> str:
    return f"Asked politely, {len(setup.train)} times."


def test_a_method_of_ones_own_is_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polite = Method(name="polite", title="asking politely", describe=describe, make=make)
    monkeypatch.setitem(METHODS, "polite", polite)
    spec = make_spec(
        {
            "model": str(saved(tmp_path / "model")), "dtype": "float32", "methods": ["polite"],
            "seeds": [0, 1], "evaluation": {"dtype": "float32", "attacks": 1, "rules": 1},
        },
        profile="smoke",
    )  # fmt: skip
    summary = align(spec, tmp_path / "run", progress=SilentProgress()).to_json()
    assert list(summary["candidates"]) == ["base", "polite"]
    for name in ("polite", "polite-seed1"):
        folder = tmp_path / "run" / "candidates" / name
        assert load_candidate(folder, name, 0, "float32").prompt.instruction == "please answer."
        assert "Asked politely, " in (folder / "README.md").read_text()
    record = Run(tmp_path / "run", SilentProgress()).record()
    assert record["methods"] == {"polite": polite.to_json()}


class _Notes(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_what_an_adapter_leaves_out_is_said_and_stands_in_the_card(tmp_path: Path) -> None:
    model = plain("Mixtral")
    model.config.max_position_embeddings = 1024
    model.save_pretrained(tmp_path / "model")
    tokenizer(chat=True).save_pretrained(tmp_path / "model")
    spec = make_spec(
        {
            "model": str(tmp_path / "model"), "dtype": "float32", "methods": ["sft"],
            "evaluation": {"dtype": "float32", "attacks": 1, "rules": 1},
        },
        profile="smoke",
    )  # fmt: skip
    progress = _Notes()
    align(spec, tmp_path / "run", progress=progress)
    assert "The adapter leaves as they are: mlp.gate.weight" in progress.lines
    folder = tmp_path / "run" / "candidates" / "sft"
    card = (folder / "README.md").read_text()
    assert "- Left as they are by the adapter: mlp.gate.weight\n" in card
    candidate = load_candidate(folder, "sft", 0, "float32")  # peft's form, merged again
    assert not any("lora" in name for name, _ in candidate.model.model.named_parameters())
