"""Each candidate's figures in every run, and how they differ from those of the first run that has it.

Where both were asked the same cases, the figures and their differences are those that `truing align` gives
for the same rows: the first run stands in the place of base. Otherwise the two figures are taken for
independent (statistics/independent.py). As on align's report, each interval is of 95 %, whatever the
number of figures: how many would be marked by chance alone is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from truing.report.compared.pairing import (
    SharedCases,
    measured_otherwise,
    shared_cases,
)
from truing.report.compared.runs import ComparedRun, candidates_of
from truing.report.measured import BASE, Measured, measure
from truing.report.own_labels import corrected
from truing.report.task_metrics import REWARD, Key, TaskMetrics
from truing.statistics.independent import independent_difference
from truing.types import Estimate, Metric, Row

CORRECTED = "corrected by own labels"
NO_MEAN = "isn’t a mean over cases"
NO_ROWS = "its cases weren’t kept"
TOO_FEW = "too few cases have a score in both"


@dataclass(frozen=True)
class Figure:
    """A figure of a candidate in a run. `difference` is to the reference; of the reference's own there is
    none. `why` says why it isn't paired, or why there is no difference."""

    value: Estimate | None
    difference: Estimate | None = None
    paired: bool = False
    why: str = ""


@dataclass(frozen=True)
class ComparedCandidate:
    """A candidate in the runs that have it, the reference first. `figures` are by metric and run;
    `measured` has the same with the reference as base, and the others by `place_of`."""

    name: str
    runs: tuple[ComparedRun, ...]
    measured: Measured
    figures: Mapping[Key, Mapping[str, Figure]]
    shared: Mapping[str, Mapping[str, SharedCases]]
    """By evaluation and run."""

    @property
    def reference(self) -> ComparedRun:
        """The run that the others are held against."""
        return self.runs[0]

    @property
    def task(self) -> TaskMetrics:
        """What the figures mean."""
        return self.measured.task

    def metrics(self) -> list[Metric]:
        """Every metric that any of the runs has, in the order of the report."""
        return self.task.of(self.task.in_order(self.figures))

    def differences(self) -> list[tuple[Metric, str, Figure]]:
        """Every difference: of which metric, in which run."""
        return [
            (metric, label, figure)
            for metric in self.metrics()
            for label, figure in self.figures[metric.evaluation, metric.name].items()
            if figure.difference is not None and figure.difference.value is not None
        ]


@dataclass(frozen=True)
class RunComparison:
    """All runs in the order in which they were given."""

    runs: tuple[ComparedRun, ...]

    @cached_property
    def candidates(self) -> list[ComparedCandidate]:
        """Those that two runs or more have figures of."""
        compared = [_candidate(name, self.runs) for name in candidates_of(self.runs)]
        return [each for each in compared if each is not None and each.figures]

    @property
    def learned(self) -> list[str]:
        """Candidates of whose training two runs or more have a log."""
        names = dict.fromkeys(name for run in self.runs for name in run.logs)
        return [name for name in names if sum(name in run.logs for run in self.runs) > 1]


def _candidate(name: str, runs: Sequence[ComparedRun]) -> ComparedCandidate | None:
    """None where fewer than two runs have any figure of it."""
    having = tuple(run for run in runs if has_figures(run, name))
    if len(having) < 2:
        return None
    reference = having[0]
    evaluations = list(
        dict.fromkeys(r.evaluation for run in having for r in run.rows if r.candidate == name)
    )
    shared = {
        evaluation: {
            run.label: shared_cases(run, reference, name, evaluation) for run in having[1:]
        }
        for evaluation in evaluations
    }
    by_judges, measured = _measured(name, having, shared)
    figures = {
        key: _figures(key, having, by_judges, measured, shared.get(key[0], {}))
        for key in _keys(name, having, measured)
    }
    differences = {
        place_of(run, having): {
            key: difference
            for key, of in figures.items()
            if (difference := of[run.label].difference) is not None
        }
        for run in having[1:]
    }
    return ComparedCandidate(
        name, having, replace(measured, differences=differences), figures, shared
    )


def has_figures(run: ComparedRun, name: str) -> bool:
    """Whether anything of a candidate was measured in a run."""
    return bool(run.estimates.get(name)) or any(row.candidate == name for row in run.rows)


def _keys(name: str, runs: Sequence[ComparedRun], measured: Measured) -> list[Key]:
    """Metrics that two runs or more have."""
    having = [measured.values[place_of(run, runs)] for run in runs]
    known = [{key for key, figure in of.items() if figure.value is not None} for of in having]
    keys = {key for of in known for key in of}
    return [key for key in measured.task.in_order(keys) if sum(key in of for of in known) > 1]


def place_of(run: ComparedRun, runs: Sequence[ComparedRun]) -> str:
    """What a run is called where its rows stand beside the reference's, the first of the runs."""
    return BASE if run is runs[0] else f"run:{run.label}"


def _measured(
    name: str, runs: Sequence[ComparedRun], shared: Mapping[str, Mapping[str, SharedCases]]
) -> tuple[Measured, Measured]:
    """The figures of one candidate as those of a run whose base is the reference's: by its judges alone,
    and corrected by own labels where there are enough."""
    rows = [row for run in runs for row in _placed(name, run, runs, shared)]
    names = [place_of(run, runs) for run in runs]
    reference = runs[0]
    measured = measure(rows, names, reference.task, resamples=reference.resamples)
    for run in runs:
        measured.values[place_of(run, runs)] |= run.estimates.get(name, {})
    labels = {
        (place_of(run, runs), seed, case): outcome
        for run in runs
        for (candidate, seed, case), outcome in run.labels.items()
        if candidate == name
    }
    return measured, corrected(measured, rows, labels)


def _placed(
    name: str,
    run: ComparedRun,
    runs: Sequence[ComparedRun],
    shared: Mapping[str, Mapping[str, SharedCases]],
) -> list[Row]:
    """A run's rows of the candidate. A case that isn't the reference's of this name gets another one."""
    changed = {
        evaluation: of[run.label].changed for evaluation, of in shared.items() if run.label in of
    }
    place = place_of(run, runs)
    return [
        replace(
            row,
            candidate=place,
            case=f"{row.case} {place}" if row.case in changed.get(row.evaluation, ()) else row.case,
        )
        for row in run.rows
        if row.candidate == name
    ]


def _figures(
    key: Key,
    runs: Sequence[ComparedRun],
    by_judges: Measured,
    measured: Measured,
    shared: Mapping[str, SharedCases],
) -> dict[str, Figure]:
    reference = runs[0]
    figures = {reference.label: Figure(measured.value(BASE, *key))}
    for run in runs[1:]:
        place = place_of(run, runs)
        if by_judges.difference(place, *key) != (own := measured.difference(place, *key)):
            figures[run.label] = Figure(measured.value(place, *key), own, why=CORRECTED)
            continue
        figures[run.label] = _figure(key, run, runs, measured, shared.get(run.label))
    return figures


def _figure(
    key: Key,
    run: ComparedRun,
    runs: Sequence[ComparedRun],
    measured: Measured,
    shared: SharedCases | None,
) -> Figure:
    """A run's figure with its difference to the reference's, paired where it can be."""
    reference, metric, place = runs[0], measured.task.metric_of(*key), place_of(run, runs)
    ours, theirs = measured.value(place, *key), measured.value(BASE, *key)
    if ours is None or theirs is None:
        return Figure(ours, why="not measured" if ours is None else f"not in {reference.label}")
    otherwise = measured_otherwise(run, reference, metric)
    if otherwise and key == REWARD:  # a figure of another meaning
        return Figure(ours, why=otherwise)
    if shared is not None and not shared.both and run.task_name != reference.task_name:
        return Figure(ours, why="another task")
    paired = measured.difference(place, *key)
    why = otherwise or _no_pairs(shared, paired)
    if why:
        return Figure(ours, independent_difference(ours, theirs), why=why)
    return Figure(ours, paired, paired=True, why=shared.sentence if shared else "")


def _no_pairs(shared: SharedCases | None, paired: Estimate | None) -> str:
    """Why the cases can't be paired; empty where they can."""
    if shared is None:
        return NO_ROWS
    if not shared.are_enough:
        return shared.sentence or TOO_FEW
    if paired is None:
        return NO_MEAN
    return "" if paired.n > 1 else TOO_FEW
