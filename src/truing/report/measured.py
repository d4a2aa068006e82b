"""From rows to figures: means over questions with their intervals, and paired differences to base.

Pooling: for each question the mean over a candidate's seeds, then the mean over questions. So a
question weighs the same however many seeds it was measured with, and the interval speaks of other
questions, not of other seeds. Where cases are of many wordings, it speaks of other wordings as well (see
wordings.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from truing.report.task_metrics import Key, TaskMetrics
from truing.report.wordings import crossed_mean, difference_of, places_of
from truing.statistics import means as statistics
from truing.types import Estimate, InputError, Metric, Row, Unscored

BASE = "base"
_ROUNDING = 1e-6


@dataclass
class Counts:
    """What became of a candidate's rows, so that every figure's number of questions can be explained.

    `reasons` has, for each metric, how many rows are unscored for which reason; `cases` how many cases
    have a row, by evaluation; `repeated` how many rows of one seed and case stand more than once.
    """

    reasons: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    cases: dict[str, int] = field(default_factory=dict)
    repeated: int = 0

    def unscored(self, key: Key) -> int:
        """Rows without a score."""
        return self.reasons[key].total() if key in self.reasons else 0


@dataclass(frozen=True)
class Measured:
    """Figures of every candidate.

    `values[candidate][evaluation, metric]` and `differences` (paired to base; base is absent) hold
    estimates; `questions[candidate][evaluation, metric][case]` the pooled value of each question.
    `unscored` in a value counts rows left out; in a difference, questions scored on one side only.
    `task` says what the metrics mean, `counts` what became of each candidate's rows.
    """

    names: tuple[str, ...]
    values: dict[str, dict[Key, Estimate]]
    differences: dict[str, dict[Key, Estimate]]
    questions: dict[str, dict[Key, dict[str, float]]]
    seeds: dict[str, tuple[int, ...]]
    task: TaskMetrics
    counts: dict[str, Counts]

    def value(self, name: str, evaluation: str, metric: str) -> Estimate | None:
        """A candidate's figure, or None where it wasn't measured."""
        return self.values.get(name, {}).get((evaluation, metric))

    def difference(self, name: str, evaluation: str, metric: str) -> Estimate | None:
        """A candidate's paired difference to base, or None where there is none."""
        return self.differences.get(name, {}).get((evaluation, metric))

    def defined_difference(self, name: str, metric: Metric) -> Estimate | None:
        """The same where it has a value, else None."""
        difference = self.difference(name, metric.evaluation, metric.name)
        return None if difference is None or difference.value is None else difference

    def listed(self) -> list[Key]:
        """Every (evaluation, metric) that any candidate has, in the order of the report."""
        return self.task.in_order({key for figures in self.values.values() for key in figures})


def pooled(rows: Iterable[Row]) -> dict[str, dict[Key, dict[str, float]]]:
    """Mean over seeds for each candidate, metric and question; unscored rows are left out."""
    scores: dict[str, dict[Key, dict[str, list[float]]]] = defaultdict(dict)
    for row in rows:
        for name, score in row.metrics.items():
            by_case = scores[row.candidate].setdefault((row.evaluation, name), {})
            if not isinstance(score, Unscored):
                by_case.setdefault(row.case, []).append(score)
    return {
        candidate: {
            key: {case: float(np.mean(values)) for case, values in sorted(by_case.items())}
            for key, by_case in by_key.items()
        }
        for candidate, by_key in scores.items()
    }


def counted(rows: Iterable[Row], names: Sequence[str]) -> dict[str, Counts]:
    """What became of every row, by candidate: of `names`, and of any other that has rows."""
    counts = defaultdict(Counts, {name: Counts() for name in names})
    cases: dict[tuple[str, str], set[str]] = defaultdict(set)
    seen: set[tuple[str, int, str, str]] = set()
    for row in rows:
        own = counts[row.candidate]
        place = (row.candidate, row.seed, row.evaluation, row.case)
        if place in seen:
            own.repeated += 1
            continue
        seen.add(place)
        cases[row.candidate, row.evaluation].add(row.case)
        for name, score in row.metrics.items():
            if isinstance(score, Unscored):
                own.reasons[row.evaluation, name][score.reason] += 1
    for (candidate, evaluation), asked in cases.items():
        counts[candidate].cases[evaluation] = len(asked)
    return dict(counts)


def measure(
    rows: Sequence[Row],
    names: Sequence[str],
    task: TaskMetrics,
    *,
    resamples: int = statistics.RESAMPLES,
) -> Measured:
    """Every figure of every candidate in `names`. A candidate without rows has no figures."""
    questions, counts = pooled(rows), counted(rows, names)
    places = {
        evaluation: places_of((row for row in rows if row.evaluation == evaluation), crossed)
        for evaluation, crossed in task.crossed.items()
    }
    _check_shares(questions, task)
    values: dict[str, dict[Key, Estimate]] = {}
    differences: dict[str, dict[Key, Estimate]] = {}
    for name in names:
        ours = questions.get(name, {})
        values[name] = {
            key: crossed_mean(ours[key], places.get(key[0], {}), counts[name].unscored(key))
            or statistics.mean(
                list(ours[key].values()),
                unscored=counts[name].unscored(key),
                resamples=resamples,
            )
            for key in task.in_order(ours)
        }
        values[name] |= _from_rows([row for row in rows if row.candidate == name], task)
        if name != BASE:
            theirs = questions.get(BASE, {})
            constants = _to_constants(values[name], values.get(BASE, {}), task)
            differences[name] = constants | {
                key: difference_of(
                    ours[key],
                    theirs[key],
                    places.get(key[0], {}),
                    resamples=resamples,
                    seed=statistics.SEED,
                )
                for key in task.in_order(ours.keys() & theirs.keys())
            }
    seeds = {
        name: tuple(sorted({row.seed for row in rows if row.candidate == name})) for name in names
    }
    return Measured(tuple(names), values, differences, questions, seeds, task, counts)


def _check_shares(questions: Mapping[str, dict[Key, dict[str, float]]], task: TaskMetrics) -> None:
    """Raises InputError for a share that can't be one: its row was changed by hand."""
    for name, by_key in questions.items():
        for key in by_key.keys() & task.shares.keys():
            least = task.shares[key]
            for case, value in by_key[key].items():
                if not least - _ROUNDING <= value <= 1 + _ROUNDING:
                    what = "a difference of shares" if least else "a share"
                    raise InputError(
                        f"rows/{key[0]}: {name}, case {case}: {key[1]} is {value:g}; {what} lies between "
                        f"{least:g} and 1"
                    )


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
