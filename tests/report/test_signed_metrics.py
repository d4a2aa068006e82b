"""What rows may hold, metric by metric: shares from 0 to 1, differences of shares from -1 to 1."""

from __future__ import annotations

import pytest

from truing.evaluate import EVALUATIONS
from truing.evaluate.sweep.shown import shares
from truing.recipes.report import task_metrics
from truing.report.measured import measure
from truing.spec.task import TaskSpec
from truing.types import InputError, Row

DECLARED = [metric for each in EVALUATIONS.values() for metric in each.metrics]
BELOW_0 = {
    "opinions.above_uniform", "opinions.text_above_uniform", "opinions.written_above_uniform",
}  # fmt: skip
"""Differences of shares; what isn't a share at all has no least value."""


def accepted(metric: str, value: float) -> bool:
    evaluation, _, name = metric.partition(".")
    rows = [
        Row(candidate, 0, evaluation, str(case), {name: value if case else 0.25})
        for candidate in ("base", "sft")
        for case in range(3)
    ]
    try:
        measure(rows, ["base", "sft"], task_metrics(TaskSpec()), resamples=20)
    except InputError as error:
        assert f"{name} is {value:g}; a " in str(error) and "lies between" in str(error)
        return False
    return True


@pytest.mark.parametrize("value", [-1.4, -0.4, 0.4, 1.4])
def test_rows_are_accepted_as_each_metric_is_declared(value: float) -> None:
    wrong = [
        metric.key
        for metric in DECLARED
        if metric.key not in OF_FAMILIES
        and accepted(metric.key, value)
        != (metric.unit != "share" or (-1 if metric.key in BELOW_0 else 0) <= value <= 1)
    ]
    assert wrong == []


OF_FAMILIES = {metric.key for name in ("wins",) for metric in EVALUATIONS[name].metrics}
"""Evaluations whose figures aren't means over rows, so that a row alone isn't enough."""


def test_bars_from_0_to_1_show_no_difference() -> None:
    names = [metric.name for metric in EVALUATIONS["opinions"].metrics]
    assert "representativeness" in shares("opinions", names)
    assert not [name for name in shares("opinions", names) if name.endswith("above_uniform")]
