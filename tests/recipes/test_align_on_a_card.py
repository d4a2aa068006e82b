"""The main job on a pretend card: every stage runs there, mixes no devices and gives like figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pretend_card import CARD, watched
from tiny import saved
from truing.files import read_jsonl
from truing.models import devices
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.types import InputError


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"), 2048)


@pytest.fixture
def card_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a card, which `auto` means."""
    monkeypatch.setattr(devices, "available", lambda: ["cpu", str(CARD)])


def small(model: Path, device: str = "auto") -> Spec:
    return make_spec({
        "model": str(model), "dtype": "float32", "compute": {"device": device},
        "methods": ["prompt", "best_of_n", "sft", "preference", "rl"],
        "data": {"limit": 10, "control_limit": 2},
        "prompt": {"questions": 2, "shots": [0], "built_in": 1},
        "best_of_n": {"n": 2},
        "sft": {"epochs": 1, "batch_size": 8, "adapter": {"rank": 2}},
        "preference": {"prompts_per_step": 4, "adapter": {"rank": 2}},
        "rl": {
            "steps": 2, "prompts_per_step": 2, "samples_per_prompt": 2, "max_new_tokens": 4,
            "evaluate_every": 1, "monitored": 1, "adapter": {"rank": 2}, "objective": {"name": "ppo"},
        },
        "evaluation": {
            "max_new_tokens": 3, "attacks": 2, "rules": 4, "kl_questions": 2, "resamples": 100,
            "dtype": "float32",
        },
    })  # fmt: skip


def run(spec: Spec, folder: Path, after: int | None = None) -> None:
    """The whole of it, or until so many stages have begun."""

    class Stops(SilentProgress):
        stages = 0

        def stage(self, *args: Any, **kwargs: Any) -> Any:
            self.stages += 1
            if after is not None and self.stages > after:
                raise KeyboardInterrupt
            return super().stage(*args, **kwargs)

    align(spec, folder, progress=Stops())


def rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        str(path.relative_to(folder)): read_jsonl(path)
        for path in sorted((folder / "rows").rglob("*.jsonl"))
    }


def scores(rows: list[dict[str, Any]]) -> list[float]:
    """What is computed from likelihoods, row by row."""
    return [row["metrics"]["mc2"] for row in rows if row["metrics"].get("mc2") is not None]


def test_align_on_a_card_mixes_no_devices_and_goes_on_there(
    model_folder: Path, tmp_path: Path, card_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched() as seen:
        with pytest.raises(KeyboardInterrupt):
            run(small(model_folder), tmp_path / "card", after=6)
        run(small(model_folder), tmp_path / "card")
    assert not seen.faults and sum(seen.launches.values()) > 1000
    record = json.loads((tmp_path / "card" / "run.json").read_text())
    assert record["device"]["name"] == "card:0" and record["identity"]["device"] == "card"
    with pytest.raises(InputError, match="a run of another device"):
        run(small(model_folder, "cpu"), tmp_path / "card")
    run(small(model_folder, "cpu"), tmp_path / "cpu")
    ours, theirs = rows(tmp_path / "card"), rows(tmp_path / "cpu")
    assert ours.keys() == theirs.keys() and len(ours) >= 15
    first = "rows/truthfulness/base-seed0.jsonl"
    assert scores(ours[first]) == pytest.approx(scores(theirs[first]), abs=1e-3)
