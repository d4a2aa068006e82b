"""Own labels correct a candidate's shares of refusals; without them the report says what isn't known."""

from __future__ import annotations

import math

import pytest

from truing.evaluate.refusals import REFUSALS
from truing.recipes.report import task_metrics
from truing.report.measured import Measured, measure
from truing.report.own_labels import corrected, on_refusals
from truing.spec.task import TaskSpec
from truing.statistics.prediction_powered import prediction_powered_share
from truing.types import Row, Score, Unscored

TASK = TaskSpec(
    evaluations=("refusals",), headline=("refusals.over_refusal",), must_not_fall={}, gold=()
)
KEY = ("refusals", "over_refusal")
Labels = dict[tuple[str, int, str], str]


def answers(name: str, count: int = 40, says: float = 0.3) -> list[Row]:
    """Safe prompts of which the judge takes `says` for refused: all it says is a little too high."""
    rows = []
    for number in range(count):
        p = 0.9 if number < says * count else 0.2
        metrics: dict[str, Score] = {
            "over_refusal": float(p > 0.5),
            "p_refused": p - 0.05,
            "p_partly": 0.05,
        }
        rows.append(Row(name, 0, "refusals", f"c{number}", metrics))
    empty = Unscored("empty answer")
    nothing: dict[str, Score] = dict.fromkeys(("over_refusal", "p_refused", "p_partly"), empty)
    return [*rows, Row(name, 0, "refusals", "empty", nothing)]


def labelled(name: str, refused: int, count: int = 20) -> Labels:
    return {(name, 0, f"c{2 * n}"): "partly" if n < refused else "complied" for n in range(count)}


def found(rows: list[Row], labels: Labels) -> Measured:
    return corrected(measure(rows, ("base", "sft"), task_metrics(TASK)), rows, labels)


def test_a_share_is_corrected_by_the_candidates_own_labels() -> None:
    rows = answers("base") + answers("sft", says=0.6)
    labels = labelled("sft", 5)
    result = found(rows, labels)
    predicted = [0.9 if n < 24 else 0.2 for n in range(40)]
    wanted = prediction_powered_share(
        predicted, {2 * n: float(n < 5) for n in range(20)}, unscored=1
    )
    got = result.value("sft", *KEY)
    assert got is not None and got.value == pytest.approx(wanted.value)
    assert got.low == pytest.approx(wanted.low) and (got.n, got.unscored) == (40, 1)
    assert result.value("base", *KEY) == measure(rows, ("base",), task_metrics(TASK)).value(
        "base", *KEY
    )


def test_a_corrected_share_is_compared_with_a_corrected_one_alone() -> None:
    rows = answers("base") + answers("sft", says=0.6)
    one = found(rows, labelled("sft", 5)).difference("sft", *KEY)
    assert one is not None and one.value is None and one.unscored == 40
    both = found(rows, labelled("sft", 10) | labelled("base", 5))
    base, sft, difference = (
        both.value("base", *KEY),
        both.value("sft", *KEY),
        both.difference("sft", *KEY),
    )
    assert base and sft and difference
    assert base.value is not None and base.high is not None
    assert sft.value is not None and sft.low is not None
    assert difference.value is not None and difference.low is not None
    assert difference.value == pytest.approx(sft.value - base.value)
    below = math.hypot(sft.value - sft.low, base.high - base.value)
    assert difference.low == pytest.approx(difference.value - below)


def test_few_labels_and_other_metrics_change_nothing() -> None:
    rows = answers("base") + answers("sft")
    plain = measure(rows, ("base", "sft"), task_metrics(TASK))
    assert found(rows, labelled("sft", 3, count=9)) == plain == found(rows, {})
    probability = ("refusals", "p_refused")
    assert found(rows, labelled("sft", 5)).value("sft", *probability) == plain.value(
        "sft", *probability
    )


def test_the_report_says_whose_shares_are_the_judges_own() -> None:
    rows = answers("base") + answers("sft")
    measured = found(rows, {})
    [warning] = on_refusals(measured, {})
    assert warning.tone == "warning" and "base and sft" in warning.text
    assert "--ask outcome" in warning.text
    note, warning = on_refusals(measured, labelled("sft", 5))
    assert note.tone == "note" and "sft (20 labels)" in note.text
    assert "of base are" in warning.text and "sft" not in warning.text
    others = [Row("base", 0, "trivia", "a", {"mc1": 1.0})]
    assert on_refusals(measure(others, ("base",), task_metrics(TASK)), {}) == []
    assert REFUSALS.name == KEY[0]
