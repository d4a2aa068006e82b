"""The page of runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from truing.report.answered import AnswerTable
from truing.report.answers import MOST_BYTES, answer_table, by_seed, terms_of
from truing.report.compared.differences import ComparedCandidate, Figure, RunComparison
from truing.report.compared.runs import ComparedRun, differing, written
from truing.report.compared.words import remarks, verdicts
from truing.report.html import render_page, swatch
from truing.report.metrics import DASH, change, interval, mark, moved, number
from truing.report.quantities import COST_COLUMNS, cost_cells
from truing.report.svg import palette
from truing.report.training.last import LastTable, last_table
from truing.report.training.panels import Drawn, panels_beside
from truing.types import Metric

FEW = 8
"""So many metrics are shown whole."""
KICKER = "Truing comparison of runs"
"""On every such page, and on no other."""


def page(comparison: RunComparison) -> str:
    """Equal runs give equal bytes: nothing here reads a clock."""
    runs = comparison.runs
    colour = palette([_named(run) for run in runs])
    colours = {run.label: colour(_named(run)) for run in runs}
    context = {
        "kicker": KICKER,
        "runs": [_about(run) for run in runs],
        "swatch": lambda label: swatch(colours[label]),
        "verdicts": verdicts(comparison),
        "remarks": remarks(comparison),
        "candidates": [_candidate(each) for each in comparison.candidates],
        "learned": _learned(comparison, colours),
        "answers": _answers(comparison),
        "colour_of": colours.__getitem__,
        "settings": settings_table(runs),
        "costs": costs_of_runs(runs),
    }
    return render_page("truing.report.compared", "page.html.j2", context)


def _named(run: ComparedRun) -> str:
    """A name of its own in the palette, whatever the run is called."""
    return f"run {run.label}"


def _about(run: ComparedRun) -> dict[str, Any]:
    model = run.settings.get("model")
    own = next(iter(run.shown_as.values()), "")
    facts = [f"truing {run.kind}", run.task_name, str(model) if model else "", own]
    return {
        "label": run.label,
        "folder": str(run.path),
        "facts": " · ".join(fact for fact in facts if fact),
        "finished": run.finished,
    }


# --- Figures -----------------------------------------------------------------------------------


def stands_open(candidate: ComparedCandidate, metric: Metric) -> bool:
    """Whether a metric is shown first: the task goes by it, or a difference in it is beyond noise."""
    key = (metric.evaluation, metric.name)
    marked = any(moved(figure.difference) for figure in candidate.figures[key].values())
    return len(candidate.figures) <= FEW or marked or candidate.task.counts(key)


def _candidate(candidate: ComparedCandidate) -> dict[str, Any]:
    metrics = candidate.metrics()
    first = [metric for metric in metrics if stands_open(candidate, metric)]
    rest = [metric for metric in metrics if metric not in first]
    return {
        "name": candidate.name,
        "labels": [run.label for run in candidate.runs],
        "first": _groups(candidate, first),
        "rest": _groups(candidate, rest),
        "left": len(rest),
    }


def _groups(
    candidate: ComparedCandidate, metrics: Sequence[Metric]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """(title, lines) of each evaluation."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for metric in metrics:
        of = candidate.figures[metric.evaluation, metric.name]
        cells = [cell(run.label, of.get(run.label), metric) for run in candidate.runs]
        groups.setdefault(metric.evaluation, []).append({"metric": metric, "cells": cells})
    return [(candidate.task.title(name), lines) for name, lines in groups.items()]


@dataclass(frozen=True)
class Cell:
    """A run's figure as it is shown: value, interval, difference and how it is to be read."""

    run: str
    value: str = DASH
    interval: str = ""
    n: int = 0
    unscored: int = 0
    difference: str = ""
    difference_interval: str = ""
    effect: Literal["gain", "loss", "moved", ""] = ""
    mark: str = ""
    paired: bool = False
    why: str = ""


def cell(label: str, figure: Figure | None, metric: Metric) -> Cell:
    """The cell of a run; a dash where it has no figure."""
    value = figure.value if figure else None
    if figure is None or value is None:
        return Cell(label)
    shown = Cell(
        label,
        number(value.value, metric.unit),
        interval(value, metric.unit),
        value.n,
        value.unscored,
        why=figure.why,
    )
    if (difference := figure.difference) is None:
        return shown
    return replace(
        shown,
        difference=number(difference.value, metric.unit, sign=True),
        difference_interval=interval(difference, metric.unit),
        effect=change(difference, metric),
        mark=mark(difference),
        paired=figure.paired,
    )


# --- What runs were made with, and what they cost ----------------------------------------------


def settings_table(runs: tuple[ComparedRun, ...]) -> list[tuple[str, list[str]]]:
    """Each setting that isn't the same in all, as text."""
    return [(key, [written(value) for value in values]) for key, values in differing(runs)]


def costs_of_runs(runs: tuple[ComparedRun, ...]) -> dict[str, Any]:
    """A row for each account and run; an account is a candidate, measuring, or all of it."""
    accounts = list(dict.fromkeys(name for run in runs for name in run.costs))
    rows = [
        (name, run.label, cost_cells(of))
        for name in accounts
        for run in runs
        if isinstance(of := run.costs.get(name), dict)
    ]
    return {"columns": [title for _, title in COST_COLUMNS], "rows": rows}


def _answers(comparison: RunComparison) -> list[tuple[str, AnswerTable, str]]:
    """For each candidate the table of all answers, a column for each run, and the first run's label."""
    room = MOST_BYTES // max(1, len(comparison.candidates))
    tables = []
    for candidate in comparison.candidates:
        labels = [run.label for run in candidate.runs]
        questions: dict[str, Mapping[str, Any]] = {}
        for run in candidate.runs:
            questions = {**run.questions, **questions}
        rows = [
            row
            for run in candidate.runs
            for row in by_seed(
                [replace(r, candidate=run.label) for r in run.rows if r.candidate == candidate.name]
            )
        ]
        table = answer_table(
            rows, labels, terms_of(candidate.task), questions, room, differing_first=True
        )
        if table.cases:
            tables.append((candidate.name, table, labels[0]))
    return tables


def _learned(
    comparison: RunComparison, colours: Mapping[str, str]
) -> list[tuple[str, list[Drawn], LastTable]]:
    """For each candidate with logs the figures over the steps, and how each run stood at the end."""
    found = []
    for name in comparison.learned:
        runs = [run for run in comparison.runs if name in run.logs]
        panels = panels_beside(
            name, [(run.label, colours[run.label], run.logs[name]) for run in runs]
        )
        found.append((name, panels, last_table([(run.label, run.logs[name]) for run in runs])))
    return found
