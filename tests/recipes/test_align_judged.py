"""The main job with a judge behind an endpoint: as judge of free answers, of outcomes, and as a reward."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from endpoints import serving
from judging import AskedOf, Judging
from tiny import saved
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.spec.reading import make_spec
from truing.types import stable_hash


def any_grade(asked: AskedOf) -> str:
    """One of the grades, by the answer, whatever their order."""
    draw = int(stable_hash("grade", asked.answer)[:8], 16)
    return sorted(asked.grades)[draw % len(asked.grades)]


def test_a_run_is_judged_and_rewarded_by_an_endpoint_and_asks_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("truing.judges.served_labels.REFERENCE_QUESTIONS", 3)
    monkeypatch.setattr("truing.rewards.rubrics.asking._announced", set())
    model, behaviour = saved(tmp_path / "model", 4096), Judging(any_grade)
    with serving(behaviour) as server:
        asked = {"endpoint": server.name, "prices": {"prompt": 1, "completion": 1}}
        spec = make_spec({
            "model": str(model), "dtype": "float32", "methods": ["rl"],
            "data": {"limit": 10, "control_limit": 2},
            "task": {"evaluations": ["truthfulness", "trivia"], "gold": [],
                     "headline": ["truthfulness.true"]},
            "judge": asked,
            "reward": {"parts": [{"name": "judge", "rubric": "helpful", **asked}]},
            "rl": {"steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2, "monitored": 1,
                   "max_new_tokens": 6, "adapter": {"rank": 2}},
            "evaluation": {"max_new_tokens": 6, "resamples": 100, "dtype": "float32"},
        })  # fmt: skip
        folder = tmp_path / "run"
        notes: list[str] = []
        progress = SilentProgress()
        monkeypatch.setattr(progress, "note", notes.append)
        align(spec, folder, progress=progress)
    assert len(behaviour.replied) == len({each.text for each in behaviour.replied})
    assert any("is the reward and a judge of the answers" in note for note in notes)
    assert any("tokens sent" in note for note in notes)
    said = "\n".join([*notes, capsys.readouterr().err])
    for where in ("judge", "reward.parts.0"):
        assert said.count(f"{where}: answers are sent to") == 1, said
    judges = json.loads((folder / "judges.json").read_text())
    assert set(judges) >= {"truth", "informative", "the reward"}
    for name, least in (("truth", 6), ("the reward", 2)):
        assert judges[name]["replies"] >= least and judges[name]["price"] > 0
        assert judges[name]["order_changed"] == 0
    assert judges["truth"]["accuracy"] is not None and judges["truth"]["n"] == 6
    page = (folder / "report.html").read_text()
    assert "Changed by the order of grades" in page and re.search("Tokens sent", page)
