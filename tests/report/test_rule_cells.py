"""Rule by context: outcomes counted, and which cells can show an effect."""

from __future__ import annotations

from typing import Any

import pytest

from truing.report.rule_cells import Measurable, cells, measurable, measurable_rules
from truing.types import Row


def rows(rule: str, context: str, *outcomes: str | None, expects: str = "keep") -> list[Row]:
    detail: dict[str, Any] = {"rule": rule, "context": context, "expects": expects}
    return [
        Row("base", 0, "rules", f"{rule}{context}{n}", {}, rule, {**detail, "outcome": outcome})
        for n, outcome in enumerate(outcomes)
    ]


def test_outcomes_are_counted_and_what_is_unscored_apart() -> None:
    found = cells(rows("r", "ask", "kept", "broken", None, "empty"))["r", "ask"]
    assert found.outcomes == {"kept": 1, "broken": 1, "empty": 1}
    assert (found.n, found.unscored, found.share) == (3, 1, pytest.approx(1 / 3))


def test_other_rows_and_old_ones_are_left_out() -> None:
    assert not cells(
        [Row("base", 0, "attacks", "a", {"success": 1.0}), Row("b", 0, "rules", "a", {})]
    )


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (["kept"] * 10, "always kept"),
        (["kept"] * 9 + ["broken"], "measurable"),  # 0.9 is within
        (["kept"] + ["broken"] * 9, "measurable"),
        (["kept"] + ["broken"] * 10, "never kept"),
        (["carried"] * 5 + ["dropped"] * 5, "measurable"),
        (["empty"] * 3, "never kept"),
        ([None], "unscored"),
    ],
)
def test_a_cell_is_measurable_between_a_tenth_and_nine(
    outcomes: list[str | None], verdict: Measurable
) -> None:
    assert measurable(rows("r", "ask", *outcomes)) == {("r", "ask"): verdict}


@pytest.mark.parametrize(
    ("by_context", "verdict"),
    [
        ({"a": ["kept"], "b": ["broken"]}, "always or never"),
        ({"a": ["kept"], "b": ["kept", "broken"]}, "measurable"),
        ({"a": ["kept"], "b": [None]}, "always kept"),
        ({"a": ["broken"], "b": ["broken"]}, "never kept"),
        ({"a": [None]}, "unscored"),
    ],
)
def test_a_rule_is_measurable_where_it_is_somewhere(
    by_context: dict[str, list[str | None]], verdict: Measurable
) -> None:
    all_rows = [row for context, each in by_context.items() for row in rows("r", context, *each)]
    assert measurable_rules(all_rows) == {"r": verdict}
