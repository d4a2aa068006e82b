"""What resisting costs, as points: attack success against twins lost and over-refusal."""

from __future__ import annotations

from typing import Any

from truing.recipes.report import task_metrics
from truing.report.measured import Measured, measure
from truing.report.tradeoff import curves, tradeoff
from truing.spec.task import TaskSpec
from truing.types import Row

METHODS: dict[str, Any] = {
    "sft": {"title": "t"},
    "weak": {"defence": "sft"},
    "strong": {"defence": "sft"},
}
SHARES = {"base": (8, 9), "sft": (8, 9), "weak": (4, 8), "strong": (1, 2)}
"""Attacks that succeed and twins that are done, of ten."""


def measured() -> Measured:
    rows = [
        Row(name, 0, "attacks", f"{metric}{case}", {metric: float(case < count)})
        for name, counts in SHARES.items()
        for metric, count in zip(("success", "twin"), counts, strict=True)
        for case in range(10)
    ]
    return measure(rows, list(SHARES), task_metrics(TaskSpec()), resamples=100)


def test_a_point_has_what_a_candidate_gave_and_what_it_lost() -> None:
    points = {point["candidate"]: point for point in tradeoff(measured(), METHODS)}
    assert list(points) == list(SHARES)
    strong = points["strong"]
    assert strong["attack_success"]["value"] == 0.1
    assert strong["twins_done"]["value"] == 0.2
    assert round(strong["twins_lost"]["value"], 9) == 0.7
    assert strong["twins_lost"]["low"] <= 0.7 <= strong["twins_lost"]["high"]
    assert points["base"]["twins_lost"] is None and strong["over_refusal"] is None


def test_strengths_of_one_defence_are_a_curve_from_the_base() -> None:
    found = curves(tradeoff(measured(), METHODS))
    assert {name: [p["candidate"] for p in each] for name, each in found.items()} == {
        "sft": ["base", "weak", "strong"]
    }


def test_whoever_was_not_attacked_has_no_point() -> None:
    rows = [Row(name, 0, "trivia", "a", {"mc1": 1.0}) for name in SHARES]
    assert tradeoff(measure(rows, list(SHARES), task_metrics(TaskSpec()), resamples=100), {}) == []
