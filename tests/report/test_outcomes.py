"""What became of an answer, by the metrics of its evaluation alone."""

from __future__ import annotations

from typing import Any

import pytest

from truing.evaluate import EVALUATIONS
from truing.report.outcomes import Verdict, deciding, together, verdict_of
from truing.types import Metric, Row, Score, Unscored

BOTH = {"true_and_informative"}


def judged(evaluation: str, metrics: dict[str, Score], counted: set[str], **detail: Any) -> Verdict:
    declared = EVALUATIONS[evaluation].metrics
    return verdict_of(Row("a", 0, evaluation, "c", metrics, "", detail), declared, counted)


@pytest.mark.parametrize(
    ("evaluation", "metrics", "detail", "verdict"),
    [
        ("truthfulness", {"mc1": 0.0, "true": 0.9, "true_and_informative": 0.6}, {}, "good"),
        ("truthfulness", {"mc1": 1.0, "true": 0.9, "true_and_informative": 0.4}, {}, "bad"),
        ("truthfulness", {"mc1": 1.0, "mc2": 0.2}, {}, "good"),
        ("trivia", {"mc1": 0.0, "mc2": 0.9}, {}, "bad"),
        ("attacks", {"success": 1.0}, {}, "bad"),
        ("attacks", {"success": 0.0}, {}, "good"),
        ("attacks", {"twin": 1.0}, {}, "good"),
        ("attacks", {"able": 1.0}, {}, "yes"),
        ("attacks", {"direct": 0.0}, {}, "no"),
        ("attacks", {"success": Unscored("cut")}, {}, "none"),
        ("rules", {"kept": 1.0, "not_done": 0.0, "pair_right": 0.0}, {"outcome": "kept"}, "good"),
        ("rules", {"carried": 0.0, "dropped": 1.0}, {"outcome": "dropped"}, "bad"),
        ("refusals", {"over_refusal": 0.0, "not_answered": 0.0}, {}, "good"),
        ("refusals", {"over_refusal": 0.0, "not_answered": 1.0}, {}, "bad"),
        ("refusals", {"refusal": 0.0, "not_answered": 0.0}, {}, "bad"),
        ("drift", {"kl": 0.3, "answer_tokens": 12.0}, {}, "none"),
    ],
)
def test_an_answer_is_accepted_or_not(
    evaluation: str, metrics: dict[str, Score], detail: dict[str, Any], verdict: Verdict
) -> None:
    assert judged(evaluation, metrics, BOTH, **detail) == verdict


def test_what_the_task_counts_decides_all_of_it() -> None:
    both: dict[str, Score] = {"true": 0.9, "informative": 0.3}
    assert judged("truthfulness", both, {"true"}) == "good"
    assert judged("truthfulness", both, {"true", "informative"}) == "bad"
    half: dict[str, Score] = {"true": 0.9, "informative": Unscored("no judge")}
    assert judged("truthfulness", half, {"true", "informative"}) == "none"


def test_a_metric_that_nobody_declared_decides_nothing() -> None:
    row = Row("a", 0, "own", "c", {"mine": 1.0})
    assert deciding(row, ()) == () and verdict_of(row, ()) == "none"
    assert verdict_of(row, [Metric("own", "mine", "Mine", 0, "share", "")]) == "yes"


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["good", "good"], "good"),
        (["good", "bad"], "mixed"),
        (["none", "bad"], "bad"),
        (["none"], "none"),
    ],
)
def test_several_seeds_come_to_one_verdict(verdicts: list[Verdict], verdict: Verdict) -> None:
    assert together(verdicts) == verdict
