"""Intervals of cases that are one of many wordings: in values, in differences, in truing eval's lines."""

from __future__ import annotations

import pytest

from truing.report.measured import measure
from truing.report.task_metrics import TaskMetrics
from truing.report.wordings import row_means
from truing.statistics.means import mean, summary
from truing.statistics.two_way import crossed_difference, crossed_share
from truing.types import Metric, Row, Score, Unscored

METRIC = Metric("tricks", "success", "Success", -1, "share", "")


def place(row: Row) -> tuple[str, str, str] | None:
    return tuple(row.detail["place"]) if "place" in row.detail else None  # type: ignore[return-value]


def rows(candidate: str, effect: int = 0, *, placed: bool = True, seeds: int = 1) -> list[Row]:
    """13 wordings of 4 items; most of what varies lies between wordings."""
    return [
        Row(
            candidate,
            seed,
            "tricks",
            f"{w}-{i}",
            {"success": float(w % 4 == 0 and (w + i + effect) % 5 > 0)},
            detail={"place": ["f", f"w{w}", f"i{i}"]} if placed else {},
        )
        for seed in range(seeds)
        for w in range(13)
        for i in range(4)
    ]


def task(*, crossed: bool = True) -> TaskMetrics:
    return TaskMetrics(
        (METRIC,), {}, (("tricks", "success"),), crossed={"tricks": place} if crossed else {}
    )


def columns(some: list[Row]) -> tuple[list[str], list[str], list[str]]:
    places = [row.detail["place"] for row in some]
    return [p[0] for p in places], [p[1] for p in places], [p[2] for p in places]


def scores(some: list[Row]) -> list[Score]:
    return [row.metrics["success"] for row in some]


def test_values_and_differences_are_crossed_over_wordings_and_items() -> None:
    base, other = rows("base"), rows("sft", 2)
    measured = measure([*base, *other], ("base", "sft"), task())
    ours = {row.case: row for row in other}
    ordered = [ours[case] for case in sorted(ours)]
    theirs = [next(row for row in base if row.case == case) for case in sorted(ours)]
    expected = crossed_share(scores(ordered), *columns(ordered))
    assert measured.value("sft", "tricks", "success") == expected
    apart = crossed_difference(scores(ordered), scores(theirs), *columns(ordered))
    assert measured.difference("sft", "tricks", "success") == apart
    plain = mean([float(s) for s in scores(ordered)])  # type: ignore[arg-type]
    assert plain.value == pytest.approx(expected.value)
    assert expected.high - expected.low > 1.3 * (plain.high - plain.low)  # type: ignore[operator]


def test_several_seeds_are_pooled_first() -> None:
    one = measure(rows("base"), ("base",), task()).value("base", "tricks", "success")
    assert (
        measure(rows("base", seeds=3), ("base",), task()).value("base", "tricks", "success") == one
    )


def test_rows_that_stand_nowhere_have_the_interval_of_cases() -> None:
    old = rows("base", placed=False)
    plain = measure(old, ("base",), task(crossed=False)).values
    assert measure(old, ("base",), task()).values == plain
    mixed = [*rows("base")[:4], *old[4:]]
    assert measure(mixed, ("base",), task()).values == plain


def test_what_is_unscored_is_left_out_and_counted() -> None:
    some = rows("base")
    some[0].metrics["success"] = Unscored("empty")
    value = measure(some, ("base",), task()).value("base", "tricks", "success")
    assert value is not None and (value.n, value.unscored) == (51, 1)
    other = measure([*some, *rows("sft")], ("base", "sft"), task())
    difference = other.difference("sft", "tricks", "success")
    assert difference is not None and (difference.n, difference.unscored) == (51, 1)


def test_lines_of_truing_eval_have_the_same_intervals() -> None:
    some = rows("base")
    assert row_means(some, place, 0)["success"] == crossed_share(scores(some), *columns(some))
    assert row_means(some, None, 0) == summary(some, 0)
