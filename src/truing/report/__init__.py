"""From a run folder to figures, sentences and one self-contained page. No model is needed.

from truing.report import build_report
build_report(Path("runs/x"))          # writes runs/x/summary.json and runs/x/report.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from truing.files import write_json_atomically, write_text_atomically
from truing.report.html import render
from truing.report.summary import Summary, summarise
from truing.report.terminal import show
from truing.runs.folder import RunFolder

__all__ = ["Summary", "build_report", "rebuild", "report_runs", "show", "summarise"]


def rebuild(run: Path) -> Summary:
    """Write `summary.json` and `report.html` into a run folder, each atomically; the summary.

    Raises InputError where `run` isn't a run folder or a file in it is broken; then neither file
    is touched.
    """
    summary = summarise(RunFolder.open(run))
    page = render(summary)
    write_json_atomically(run / "summary.json", summary.to_json())
    write_text_atomically(run / "report.html", page)
    return summary


def build_report(run: Path) -> Path:
    """As `rebuild`; the path of the page."""
    rebuild(run)
    return run / "report.html"


def report_runs(runs: Sequence[Path], console: Console | None = None) -> list[Summary]:
    """Rebuild the reports of several runs and print each to `console` (none: print nothing).

    Raises InputError at the first folder that isn't a run, before any is written.
    """
    for run in runs:
        RunFolder.open(run)
    summaries = []
    for run in runs:
        summaries.append(rebuild(run))
        if console is not None:
            show(summaries[-1], console)
            console.print(f"Report: {run / 'report.html'}", soft_wrap=True, highlight=False)
    return summaries
