"""The tables of a sweep's page: figures with their intervals, and marks where a change is beyond noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.evaluate.sweep.figures import Panel, bars
from truing.evaluate.sweep.result import Line, SweepResult
from truing.evaluate.sweep.shown import (
    asked_of,
    colours,
    differences,
    labels,
    metric_in,
    metrics_in,
    question_places,
    question_scores,
    remark,
    shown_lines,
    titled,
)
from truing.evaluate.sweep.verdict import Change, Place
from truing.report.metrics import DASH, change, interval, mark, number
from truing.types import Estimate, Metric


@dataclass(frozen=True)
class Cell:
    """A figure, its interval, a remark; its mark with what it means (a class), and the card over it."""

    value: str
    interval: str = ""
    remark: str = ""
    mark: str = ""
    effect: str = ""
    hint: str = ""


Row = tuple[str, str, list[Cell]]
"""Candidate, prompt and the cells."""


def table(
    lines: Sequence[Line], metrics: Sequence[str], asked: int, changes: Mapping[Place, Change]
) -> list[Row]:
    """A row for each line, a cell for each metric."""
    return [
        (
            line.candidate,
            line.prompt,
            [
                figure(
                    line.metrics.get(name),
                    metric_in(line.evaluation, name),
                    asked,
                    changes.get((line.evaluation, name, line.candidate, line.prompt)),
                )
                for name in metrics
            ],
        )
        for line in lines
    ]


def figure(
    estimate: Estimate | None, metric: Metric, asked: int, moved: Change | None = None
) -> Cell:
    """A figure's cell. `asked` is how many cases it could have been of."""
    if estimate is None:
        return Cell(DASH)
    value, limits = number(estimate.value, metric.unit), interval(estimate, metric.unit)
    lines = [metric.label, f"{value} {limits}".strip(), f"of {estimate.n} cases"]
    lines += [f"{estimate.unscored} unscored"] if estimate.unscored else []
    lines += [moved.hint] if moved else []
    return Cell(
        value,
        limits,
        remark(estimate, asked_of(metric, asked)),
        mark(moved.difference) if moved else "",
        moved.effect if moved else "",
        "\n".join(lines),
    )


def difference(estimate: Estimate | None, metric: Metric) -> Cell:
    """The same of a paired difference: what has a score on one side only is in none."""
    if estimate is None:
        return Cell(DASH)
    one_side = f"{estimate.unscored} scored on one side only" if estimate.unscored else ""
    value, limits = number(estimate.value, sign=True), interval(estimate, sign=True)
    return Cell(value, limits, one_side, mark(estimate), change(estimate, metric))


def together(result: SweepResult) -> dict[str, Any] | None:
    """Truthfulness beside control questions, where both were asked."""
    if not {"truthfulness", "trivia"} <= result.asked.keys():
        return None
    lines = {name: shown_lines(result, name) for name in ("truthfulness", "trivia")}
    judged = "true_and_informative" in metrics_in(lines["truthfulness"])
    wanted = [("truthfulness", "mc1"), ("trivia", "mc1")]
    wanted[1:1] = [("truthfulness", "true_and_informative")] if judged else []
    panels = [
        Panel(titled(evaluation, metric), lines[evaluation], (metric,))
        for evaluation, metric in wanted
    ]
    first = next(iter(labels(result).values()))
    drawn = bars(panels, colours(list(result.models)), "together", "Truthfulness and controls")
    return {
        "bars": drawn,
        "first": first,
        "columns": [panel.title for panel in panels],
        "rows": _compared(result, wanted, lines, first),
    }


def _compared(
    result: SweepResult,
    wanted: Sequence[tuple[str, str]],
    lines: Mapping[str, Sequence[Line]],
    first: str,
) -> list[tuple[str, str, list[tuple[Cell, Cell]]]]:
    """Rows of (candidate, prompt, for each wanted metric: figure, paired difference to `first`)."""
    of = {
        (evaluation, line.candidate, line.prompt): line.metrics
        for evaluation, of_evaluation in lines.items()
        for line in of_evaluation
    }
    apart = {
        (evaluation, metric): differences(
            question_scores(result, evaluation, metric),
            first,
            result.spec.seed,
            question_places(result, evaluation),
        )
        for evaluation, metric in wanted
    }
    return [
        (
            line.candidate,
            line.prompt,
            [
                (
                    figure(
                        of.get((evaluation, line.candidate, line.prompt), {}).get(metric),
                        metric_in(evaluation, metric),
                        0,
                    ),
                    difference(
                        apart[evaluation, metric].get((line.candidate, line.prompt)),
                        metric_in(evaluation, metric),
                    ),
                )
                for evaluation, metric in wanted
            ],
        )
        for line in lines["truthfulness"]
    ]
