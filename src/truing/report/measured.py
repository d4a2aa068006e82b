"""From rows to figures: means over questions with their intervals, and paired differences to base.

Pooling: for each question the mean over a candidate's seeds, then the mean over questions. So a
question weighs the same however many seeds it was measured with, and the interval speaks of other
questions, not of other seeds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from truing.report.task_metrics import Key, TaskMetrics
from truing.statistics import means as statistics
from truing.types import Estimate, Row, Unscored

BASE = "base"


@dataclass(frozen=True)
class Measured:
    """Figures of every candidate.

    `values[candidate][evaluation, metric]` and `differences` (paired to base; base is absent) hold
    estimates; `questions[candidate][evaluation, metric][case]` the pooled value of each question.
    `unscored` in a value counts rows left out; in a difference, questions scored on one side only.
    `task` says what the metrics mean.
    """

    names: tuple[str, ...]
    values: dict[str, dict[Key, Estimate]]
    differences: dict[str, dict[Key, Estimate]]
    questions: dict[str, dict[Key, dict[str, float]]]
    seeds: dict[str, tuple[int, ...]]
    task: TaskMetrics

    def value(self, name: str, evaluation: str, metric: str) -> Estimate | None:
        """A candidate's figure, or None where it wasn't measured."""
        return self.values.get(name, {}).get((evaluation, metric))

    def difference(self, name: str, evaluation: str, metric: str) -> Estimate | None:
        """A candidate's paired difference to base, or None where there is none."""
        return self.differences.get(name, {}).get((evaluation, metric))

    def listed(self) -> list[Key]:
        """Every (evaluation, metric) that any candidate has, in the order of the report."""
        return self.task.in_order({key for figures in self.values.values() for key in figures})


def pooled(
    rows: Iterable[Row],
) -> tuple[dict[str, dict[Key, dict[str, float]]], dict[str, dict[Key, int]]]:
    """Mean over seeds for each candidate, metric and question; and the unscored rows left out."""
    scores: dict[str, dict[Key, dict[str, list[float]]]] = defaultdict(dict)
    unscored: dict[str, dict[Key, int]] = defaultdict(dict)
    for row in rows:
        for name, score in row.metrics.items():
            key = (row.evaluation, name)
            by_case = scores[row.candidate].setdefault(key, {})
            if isinstance(score, Unscored):
                unscored[row.candidate][key] = unscored[row.candidate].get(key, 0) + 1
            else:
                by_case.setdefault(row.case, []).append(score)
    means = {
        candidate: {
            key: {case: float(np.mean(values)) for case, values in sorted(by_case.items())}
            for key, by_case in by_key.items()
        }
        for candidate, by_key in scores.items()
    }
    return means, dict(unscored)


def measure(
    rows: Sequence[Row],
    names: Sequence[str],
    task: TaskMetrics,
    *,
    resamples: int = statistics.RESAMPLES,
) -> Measured:
    """Every figure of every candidate in `names`. A candidate without rows has no figures."""
    questions, unscored = pooled(rows)
    values: dict[str, dict[Key, Estimate]] = {}
    differences: dict[str, dict[Key, Estimate]] = {}
    for name in names:
        ours = questions.get(name, {})
        values[name] = {
            key: statistics.mean(
                list(ours[key].values()),
                unscored=unscored.get(name, {}).get(key, 0),
                resamples=resamples,
            )
            for key in task.in_order(ours)
        }
        values[name] |= _from_rows([row for row in rows if row.candidate == name], task)
        if name != BASE:
            theirs = questions.get(BASE, {})
            constants = _to_constants(values[name], values.get(BASE, {}), task)
            differences[name] = constants | {
                key: statistics.paired_difference(ours[key], theirs[key], resamples=resamples)
                for key in task.in_order(ours.keys() & theirs.keys())
            }
    seeds = {
        name: tuple(sorted({row.seed for row in rows if row.candidate == name})) for name in names
    }
    return Measured(tuple(names), values, differences, questions, seeds, task)


def _from_rows(rows: Sequence[Row], task: TaskMetrics) -> dict[Key, Estimate]:
    """The candidate's figures that aren't means over cases."""
    figures: dict[Key, Estimate] = {}
    for evaluation, estimates in task.from_rows.items():
        if own := [row for row in rows if row.evaluation == evaluation]:
            found = estimates(own, statistics.SEED)
            figures |= {(evaluation, metric): each for metric, each in found.items()}
    return figures


def _to_constants(
    ours: dict[Key, Estimate], theirs: dict[Key, Estimate], task: TaskMetrics
) -> dict[Key, Estimate]:
    """Differences of figures from rows where the base's is a constant, as a win rate against itself is.

    The interval moves with the figure; where the base's varies, no pairing by case gives one.
    """
    return {
        key: _moved(ours[key], -constant)
        for key in ours.keys() & theirs.keys()
        if key[0] in task.from_rows and (constant := _constant(theirs[key])) is not None
    }


def _constant(estimate: Estimate) -> float | None:
    """The figure where it can't vary; None where it can."""
    return estimate.value if estimate.low == estimate.value == estimate.high else None


def _moved(estimate: Estimate, by: float) -> Estimate:
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (None if end is None else end + by for end in ends)
    return replace(estimate, value=value, low=low, high=high)
