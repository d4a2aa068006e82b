"""The document of `truing compare --json`."""

from __future__ import annotations

from typing import Any

from truing.report.compared.differences import ComparedCandidate, Figure, RunComparison
from truing.report.compared.runs import ABSENT, ComparedRun, differing
from truing.report.compared.words import remarks, verdicts
from truing.report.training.last import last_means


def document(comparison: RunComparison) -> dict[str, Any]:
    """`candidates.NAME.RUN.EVALUATION.METRIC` has a figure, `differences` the difference to the
    first run that has the candidate (`references`), and whether it is paired; `learning` the means of the
    last steps' figures, by candidate, run and seed."""
    runs = comparison.runs
    return {
        "runs": {run.label: _about(run) for run in runs},
        "candidates": {each.name: _values(each) for each in comparison.candidates},
        "differences": {each.name: _differences(each) for each in comparison.candidates},
        "references": {each.name: each.reference.label for each in comparison.candidates},
        "learning": {
            name: {
                run.label: {
                    str(seed): {"steps": log[-1]["step"], **last_means(log)}
                    for seed, log in run.logs[name].items()
                    if log
                }
                for run in runs
                if name in run.logs
            }
            for name in comparison.learned
        },
        "settings": {
            key: {
                run.label: value
                for run, value in zip(runs, values, strict=True)
                if value is not ABSENT
            }
            for key, values in differing(runs)
        },
        "findings": [each.text for each in (*verdicts(comparison), *remarks(comparison))],
    }


def _about(run: ComparedRun) -> dict[str, Any]:
    return {
        "folder": str(run.path),
        "kind": run.kind,
        "finished": run.finished,
        **({"task": run.task_name} if run.task_name else {}),
        **({"candidate": name} if (name := next(iter(run.shown_as.values()), "")) else {}),
        "costs": dict(run.costs),
    }


def _values(candidate: ComparedCandidate) -> dict[str, Any]:
    result: dict[str, Any] = {run.label: {} for run in candidate.runs}
    for (evaluation, metric), of in candidate.figures.items():
        for label, figure in of.items():
            if figure.value is not None:
                result[label].setdefault(evaluation, {})[metric] = figure.value.to_json()
    return result


def _differences(candidate: ComparedCandidate) -> dict[str, Any]:
    result: dict[str, Any] = {run.label: {} for run in candidate.runs[1:]}
    for (evaluation, metric), of in candidate.figures.items():
        for label in result:
            result[label].setdefault(evaluation, {})[metric] = _difference(of[label])
    return result


def _difference(figure: Figure) -> dict[str, Any]:
    difference = figure.difference.to_json() if figure.difference else {"value": None}
    return {
        **difference,
        "paired": figure.paired,
        **({"why": figure.why} if figure.why else {}),
    }
