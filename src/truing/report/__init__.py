"""From a run folder to figures, sentences and one self-contained page. No model is needed.

What the figures mean is handed down as `TaskMetrics`; `truing.recipes.report` makes it from the run.
"""

from __future__ import annotations

from collections.abc import Mapping

from truing.files import read_json, write_json_atomically, write_text_atomically
from truing.report.html import render
from truing.report.own_labels import Labels
from truing.report.summary import Summary, summarise
from truing.report.task_metrics import TaskMetrics
from truing.report.terminal import show
from truing.runs.folder import RunFolder
from truing.types import InputError

SUMMARY = "summary.json"
_MADE_FROM = "made_from"

__all__ = ["Summary", "TaskMetrics", "show", "summarise", "write_report"]


def write_report(run: RunFolder, task: TaskMetrics, labels: Labels | None = None) -> Summary:
    """Write `summary.json` and `report.html` into a run folder, each atomically; the summary.

    `labels` are own labels of the run's answers.

    Raises InputError where a file in it is broken, or has lost what the report of today was made from;
    then neither file is touched.
    """
    sizes = run.sizes()
    _check_whole(run, sizes)
    summary = summarise(run, task, labels)
    page = render(summary)
    write_json_atomically(run.path / SUMMARY, {**summary.to_json(), _MADE_FROM: sizes})
    write_text_atomically(run.path / "report.html", page)
    return summary


def _check_whole(run: RunFolder, sizes: Mapping[str, int]) -> None:
    """Raises InputError where a finished run has less than when its report was last made."""
    try:
        earlier = read_json(run.path / SUMMARY)
    except InputError:
        return
    finished, made_from = run.record.get("finished"), earlier.get(_MADE_FROM)
    if not finished or earlier.get("finished") != finished or not isinstance(made_from, dict):
        return
    for name, size in made_from.items():
        if isinstance(size, int) and sizes.get(name, 0) < size:
            what = f"has {sizes[name]} of {size} lines" if name in sizes else "is gone"
            raise InputError(
                f"{run.path / name}: {what} that the report was made from; put it back, or delete "
                f"{run.path / SUMMARY} for a report without it"
            )
