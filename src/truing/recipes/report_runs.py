"""`truing report RUN ...`: the pages of runs, written anew from what is in their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truing.recipes.report import rebuild
from truing.recipes.training_page import is_training, training_document, write_training_page
from truing.report import show
from truing.runs.folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console


def report_runs(runs: Sequence[Path], console: Console | None = None) -> list[dict[str, Any]]:
    """Rebuild the reports of several runs, and print each to `console` (none: print nothing); what
    `--json` prints of each.

    Raises InputError at the first folder that isn't a run, before any is written.
    """
    folders = [RunFolder.open(run) for run in runs]
    return [_report(folder, console) for folder in folders]


def _report(run: RunFolder, console: Console | None) -> dict[str, Any]:
    if is_training(run):
        page, document = write_training_page(run.path), training_document(run)
        _say(f"Page: {page}", console)
        return document
    summary = rebuild(run.path)
    if console is not None:
        show(summary, console)
    _say(f"Report: {run.path / 'report.html'}", console)
    return summary.to_json()


def _say(text: str, console: Console | None) -> None:
    if console is not None:
        console.print(text, soft_wrap=True, highlight=False)
