"""Defences in a comparison on a tiny random model: each is a further candidate, made by its method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiny import saved
from truing.candidates import RECORD, load_candidate
from truing.files import read_json, read_jsonl
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError

FEW = {"pairs": 2, "neutral": 2}
LORA = {"adapter": {"rank": 2}}
DEFENCES: list[Any] = [
    "rule_told",
    "sandwich",
    {"name": "gentle", "method": "sft", "options": {"contrast": FEW, "batch_size": 4, **LORA}},
    {
        "name": "firm",
        "method": "sft",
        "options": {"contrast": {**FEW, "kl_weight": 0}, "batch_size": 4, "min_steps": 3},
    },
    {"name": "paired", "method": "preference", "options": {"contrast": FEW, "steps": 1, **LORA}},
    {
        "name": "rewarded",
        "method": "rl",
        "options": {
            "contrast": FEW, "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2,
            "max_new_tokens": 4, **LORA,
        },
    },
]  # fmt: skip
NAMES = ["rule_told", "sandwich", "gentle", "firm", "paired", "rewarded"]


def small(model: Path, defences: list[Any], **over: Any) -> Spec:
    task = {
        "name": "truthful",
        "defences": defences,
        "evaluations": ["attacks", "trivia"],
        "headline": ["attacks.success"],
        "gold": [],
    }
    data = {
        "model": str(model),
        "dtype": "float32",
        "task": task,
        "methods": [],
        "data": {"limit": 20, "control_limit": 3},
        "evaluation": {"max_new_tokens": 4, "attacks": 2, "resamples": 100, "dtype": "float32"},
    }
    return make_spec(data | over)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"), 4096)


@pytest.fixture(scope="module")
def finished(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    align(small(model_folder, DEFENCES), folder, progress=SilentProgress())
    return folder


def test_each_defence_is_a_candidate_with_stages_costs_and_a_card_of_its_own(
    finished: Path,
) -> None:
    record = read_json(finished / "run.json")
    assert record["candidates"] == ["base", *NAMES]
    assert {name: record["methods"][name]["defence"] for name in NAMES}["firm"] == "sft"
    for name in NAMES:
        candidate = finished / "candidates" / name
        assert read_json(candidate / RECORD)["name"] == name
        assert f", {name}\n" in (candidate / "README.md").read_text()
        assert name in record["costs"]
        assert read_jsonl(finished / "rows" / "attacks" / f"{name}-seed0.jsonl")
    stages = {path.stem for path in (finished / "stages").iterdir()}
    assert {"rule_told", "sandwich", "gentle-seed0", "firm-seed0", "rewarded-seed0"} <= stages
    assert not stages & {"sft-seed0", "rl-seed0", "preference-seed0", "prompt", "reward"}


def test_its_options_hold_for_it_alone(finished: Path) -> None:
    assert read_json(finished / "candidates" / "firm" / RECORD)["steps"] == 3
    assert read_json(finished / "candidates" / "gentle" / RECORD)["steps"] == 2


def test_neutral_answers_are_held_to_the_base_unless_they_are_learned(finished: Path) -> None:
    gentle, firm = (read_jsonl(finished / "logs" / f"{name}-seed0.jsonl") for name in NAMES[2:4])
    assert any(row.get("divergence", 0) > 0 for row in gentle)
    assert not any("divergence" in row for row in firm)
    cards = [(finished / "candidates" / name / "README.md").read_text() for name in NAMES[2:4]]
    assert ["whole distribution" in card for card in cards] == [True, False]


def test_the_report_has_every_defence(finished: Path) -> None:
    summary = read_json(finished / "summary.json")
    assert list(summary["candidates"]) == ["base", *NAMES]
    page = (finished / "report.html").read_text()
    assert all(name in page for name in NAMES)


def test_a_sandwich_says_so_in_its_folder(finished: Path) -> None:
    candidate = load_candidate(finished / "candidates" / "sandwich", "sandwich", 0, "float32")
    assert candidate.prompt.after and "rule" in candidate.prompt.instruction
    assert not load_candidate(finished / "candidates" / "gentle", "x", 0, "float32").prompt.after


def test_a_defence_that_is_made_already_is_not_made_again(
    finished: Path, model_folder: Path, tmp_path: Path
) -> None:
    marks = {p.name: p.stat().st_mtime_ns for p in (finished / "stages").iterdir()}
    (finished / "stages" / "evaluate-gentle-seed0.json").unlink()
    record = read_json(finished / "run.json")
    (finished / "run.json").write_text(json.dumps({**record, "finished": None}))
    align(small(model_folder, DEFENCES), finished, progress=SilentProgress())
    now = {p.name: p.stat().st_mtime_ns for p in (finished / "stages").iterdir()}
    assert {name for name in now if now[name] != marks[name]} == {"evaluate-gentle-seed0.json"}


def test_without_defences_a_spec_reads_as_before(model_folder: Path) -> None:
    spec = small(model_folder, [])
    assert "defences" not in spec.to_yaml() and "contrast" not in spec.to_yaml()
    assert "remind" not in spec.to_yaml()


@pytest.mark.parametrize(
    ("defence", "message"),
    [
        (
            {"name": "a", "method": "sft", "options": {"contrast": {"rules": ["code_ward"]}}},
            "'code_ward'",
        ),
        (
            {"name": "a", "method": "rl", "options": {"contrast": {"rules": ["x"]}}},
            "no attacks on 'x'",
        ),
        (
            {"name": "a", "method": "preference", "options": {"contrast": {"rules": ["x"]}}},
            "on 'x'",
        ),
        ({"name": "a", "method": "prompt", "options": {"remind": {"rules": ["x"]}}}, "no rule 'x'"),
    ],
)
def test_a_rule_that_is_not_there_is_told_before_any_time_is_spent(
    model_folder: Path, tmp_path: Path, defence: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^defence a: .*{message}"):
        align(small(model_folder, [defence]), tmp_path / "run", progress=SilentProgress())
    assert not (tmp_path / "run").exists()
