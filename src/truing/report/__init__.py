"""From a run folder to figures, sentences and one self-contained page. No model is needed.

What the figures mean is handed down as `TaskMetrics`; `truing.recipes.report` makes it from the run.
"""

from __future__ import annotations

from truing.files import write_json_atomically, write_text_atomically
from truing.report.html import render
from truing.report.summary import Summary, summarise
from truing.report.task_metrics import TaskMetrics
from truing.report.terminal import show
from truing.runs.folder import RunFolder

__all__ = ["Summary", "TaskMetrics", "show", "summarise", "write_report"]


def write_report(run: RunFolder, task: TaskMetrics) -> Summary:
    """Write `summary.json` and `report.html` into a run folder, each atomically; the summary.

    Raises InputError where a file in it is broken; then neither file is touched.
    """
    summary = summarise(run, task)
    page = render(summary)
    write_json_atomically(run.path / "summary.json", summary.to_json())
    write_text_atomically(run.path / "report.html", page)
    return summary
