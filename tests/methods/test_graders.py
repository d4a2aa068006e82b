"""What a run's judges behind endpoints cost: over all processes that worked at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from truing.methods import graders
from truing.methods.graders import Graders
from truing.rewards.rubrics.asking import Usage
from truing.rewards.rubrics.summary import JudgeSummary, OrderEffect
from truing.runs.folder import note_judges, read_judges

BEFORE = {"replies": 4, "tokens_sent": 10, "tokens_back": None, "seconds": 1.0, "price": None}


class Task:
    served = ()


class Setup:
    texts = type("Texts", (), {"task": Task})


def test_costs_join_those_of_before_and_what_isnt_known_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_judges(tmp_path, {"truth": {"accuracy": 0.9, **BEFORE}})
    usage = Usage(2, 2, 5, 7, 0.5, 0.25, "USD", 0.25)
    summary = JudgeSummary("truth", "m", 1, {}, None, OrderEffect(0, None, None), usage)
    monkeypatch.setattr(graders, "summaries", lambda judges: [summary])
    setup: Any = Setup()
    ours = Graders(setup, tmp_path)
    for _ in range(2):  # noted as often as wanted, each process counts once
        ours.note_served()
    noted = read_judges(tmp_path)["truth"]
    assert noted["accuracy"] == 0.9 and noted["currency"] == "USD"
    assert {name: noted[name] for name in BEFORE} == {
        "replies": 6, "tokens_sent": 15, "tokens_back": None, "seconds": 1.5, "price": None,
    }  # fmt: skip
