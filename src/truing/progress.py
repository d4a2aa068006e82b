"""Progress on standard error: a bar or a line for whatever takes longer than two seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress

DELAY_SECONDS = 2.0
"""Operations that end sooner show nothing."""


class Advance(Protocol):
    """Says how much is done so far, in the units of the task's total, and what is seen there."""

    def __call__(self, done: int, note: str = "") -> None:
        """`done` counts from the beginning; `note` stands behind the bar."""


class Progress(Protocol):
    """What long operations report to."""

    def task(
        self, what: str, total: int | None = None, *, in_bytes: bool = False
    ) -> AbstractContextManager[Advance]:
        """Show one operation while the context lasts. `total` is None where unknown."""

    def note(self, text: str) -> None:
        """Say one line at once."""


class SilentProgress:
    """Reports nothing."""

    @contextmanager
    def task(
        self, what: str, total: int | None = None, *, in_bytes: bool = False
    ) -> Iterator[Advance]:
        """Show nothing."""
        yield lambda done, note="": None

    def note(self, text: str) -> None:
        """Say nothing."""


class StderrProgress:
    """A bar on a terminal or in a notebook, one plain line in a log file; standard error only."""

    @contextmanager
    def task(
        self, what: str, total: int | None = None, *, in_bytes: bool = False
    ) -> Iterator[Advance]:
        """Show a bar from the third second on; it disappears when the operation ends."""
        console = Console(file=sys.stderr)
        columns: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
        if total is not None:
            columns.append(DownloadColumn() if in_bytes else MofNCompleteColumn())
        columns += [TimeElapsedColumn(), TextColumn("{task.fields[note]}")]
        bar = RichProgress(*columns, console=console, transient=True)
        row = bar.add_task(what, total=total, note="")
        drawn = console.is_terminal or console.is_jupyter
        shown = threading.Event()

        def show() -> None:
            shown.set()
            if drawn:
                bar.start()
            else:
                console.print(f"{what} ...", highlight=False, soft_wrap=True)

        timer = threading.Timer(DELAY_SECONDS, show)
        timer.daemon = True
        timer.start()
        try:
            yield lambda done, note="": bar.update(row, completed=done, note=note)
        finally:
            timer.cancel()
            timer.join()
            if drawn and shown.is_set():
                bar.stop()

    def note(self, text: str) -> None:
        """Print the line on standard error."""
        Console(file=sys.stderr).print(text, highlight=False, markup=False, soft_wrap=True)
