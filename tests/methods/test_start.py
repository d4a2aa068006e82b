"""What reinforcement learning begins from: trained first, whether it was asked for or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny import saved
from truing.files import read_jsonl
from truing.methods import chosen
from truing.methods.graders import Graders
from truing.methods.setup import make_setup, opened, planned
from truing.progress import SilentProgress
from truing.recipes.align import _planned
from truing.runs.run import Run
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


def starting(model: Path, start: str, *methods: str, **over: Any) -> Spec:
    """One step of reinforcement learning by a program, which begins from a candidate."""
    spec = {
        "model": str(model), "dtype": "float32", "methods": methods,
        "sft": {"batch_size": 8, "adapter": {"rank": 2}},
        "preference": {"steps": 2, "max_pairs": 2, "adapter": {"rank": 2}},
        "rl": {
            "start": start, "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 3,
            "max_new_tokens": 6, "adapter": {"rank": 2},
        },
        "reward": {"parts": [{"name": "length", "target": 2}]},
    }  # fmt: skip
    return make_spec(spec | over)


def made(spec: Spec, folder: Path) -> Run:
    """All that the spec makes, without what is measured of it."""
    run = Run(folder, SilentProgress(), kind="train rl")
    setup = make_setup(spec, run.progress)
    with opened(run, setup, profile="default", command="test"):
        for each in chosen(spec):
            each.make(run, setup, Graders(setup, folder), spec.seeds[0])
    return run


@pytest.mark.parametrize("start", ["sft", "preference"])
def test_a_start_that_nobody_asked_for_is_trained_at_the_cost_of_what_begins_from_it(
    model: Path, data: dict[str, str], tmp_path: Path, start: str
) -> None:
    spec = starting(model, start, "rl", data=data)
    asked_for = starting(model, start, start, "rl", data=data)
    run, whole = made(spec, tmp_path / "run"), made(asked_for, tmp_path / "whole")
    assert [each.name for each in planned(spec)] == ["rl"]
    assert {f"{start}-seed0", "rl-seed0"} <= set(_planned(spec))
    assert [each.name for each in (run.folder / "candidates").iterdir()] == ["rl"]
    costs, apart = run.costs(), whole.costs()
    assert costs.keys() == {"rl", "total"} and apart.keys() == {start, "rl", "total"}
    assert costs["rl"]["labels"] == apart[start]["labels"] > 0
    trained = apart[start]["tokens_trained"] + apart["rl"]["tokens_trained"]
    assert costs["rl"]["tokens_trained"] == trained
    [row], [same] = (read_jsonl(each.folder / "logs/rl-seed0.jsonl") for each in (run, whole))
    assert row["loss"] == same["loss"]  # the start is the same policy
    assert abs(row["kl"]) > 1e-3  # it starts away from the base, which stays the reference
    card = (run.folder / "candidates" / "rl" / "README.md").read_text()
    assert f"beginning from the candidate of {start}" in card


def test_a_start_of_several_candidates_is_trained_once(model: Path) -> None:
    task = {
        "name": "truthful",
        "defences": [
            {"name": name, "method": "rl", "options": {"start": "preference", "steps": steps}}
            for name, steps in (("short", 1), ("long", 2))
        ],
    }
    spec = starting(model, "base", task=task)
    assert [(each.name, each.start_of) for each in chosen(spec)] == [
        ("preference", "short"), ("short", ""), ("long", ""),
    ]  # fmt: skip
    both = starting(model, "base", "preference", task=task)
    assert [each.start_of for each in chosen(both)] == ["", "", ""]
    stages = [name for name in _planned(spec) if not name.startswith("evaluate")]
    assert stages == ["base", "preference-seed0", "short-seed0", "long-seed0"]


@pytest.mark.parametrize(
    ("methods", "rl", "start"),
    [
        (["preference", "rl"], {}, "preference"),
        (["preference", "rl"], {"start": "base"}, "base"),
        (["preference", "rl"], {"adapter": {"rank": 3}}, "base"),
        (["preference", "rl"], {"contrast": {}}, "base"),
        (["rl"], {}, "base"),
        (["sft", "rl"], {}, "base"),
        (["sft", "rl"], {"start": "sft"}, "sft"),
    ],
)
def test_where_nothing_is_said_it_begins_from_preference_if_that_is_there(
    methods: list[str], rl: dict[str, Any], start: str
) -> None:
    spec = make_spec({"methods": methods, "rl": rl})
    assert spec.rl_start == start
    again = make_spec(spec.model_dump(mode="json"), profile=None)
    assert again.rl_start == start and again.digest() == spec.digest()


def test_starts_that_cannot_be_trained_are_refused(model: Path) -> None:
    spec = starting(model, "preference", "rl", task="format", reward={})
    with pytest.raises(InputError, match=r"^rl\.start: preference: .* has no training question"):
        make_setup(spec, SilentProgress())
    with pytest.raises(
        InputError, match=r"rl\.start: 'preference' needs rl\.adapter equal to pref"
    ):
        starting(model, "preference", "rl", preference={"adapter": {"rank": 3}})
    with pytest.raises(InputError, match=r"rl\.start: 'sft' needs rl\.adapter equal to sft"):
        starting(model, "sft", "rl", sft={"adapter": {"rank": 3}})
