"""Progress on standard error: a bar or a line for whatever takes longer than two seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Any, Protocol

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
REDRAW_SECONDS = 0.2


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


class _NotebookBar:
    """A bar in a notebook's own means: rich's would be empty where ipywidgets isn't installed."""

    def __init__(self, what: str, total: int | None, in_bytes: bool) -> None:
        self._what, self._total, self._in_bytes = what, total, in_bytes
        self._done, self._note = 0, ""
        self._begun = self._drawn = time.monotonic()
        self._display: Any = None

    def start(self) -> None:
        """Puts the bar under the cell."""
        from IPython.display import display  # there, because only a notebook comes here

        self._display = display(self._page(), raw=True, display_id=True)

    def update(self, done: int, note: str = "") -> None:
        """Draws anew, a few times a second at most: each drawing is a message to the browser."""
        self._done, self._note = done, note
        now = time.monotonic()
        if self._display is not None and now - self._drawn > REDRAW_SECONDS:
            self._drawn = now
            self._display.update(self._page(), raw=True)

    def stop(self) -> None:
        """Takes the bar away."""
        if self._display is not None:
            self._display.update({"text/plain": "", "text/html": ""}, raw=True)

    def _page(self) -> dict[str, str]:
        unit = 10**6 if self._in_bytes else 1
        counted = f"{self._done // unit}/{self._total // unit}" if self._total else ""
        counted += " MB" if counted and self._in_bytes else ""
        seconds = int(time.monotonic() - self._begun)
        spent = f"{seconds // 60}:{seconds % 60:02}"
        behind = " ".join(part for part in (counted, spent, self._note) if part)
        place = f' value="{self._done}" max="{self._total}"' if self._total else ""
        return {
            "text/plain": f"{self._what} {behind}",
            "text/html": f"{escape(self._what)} <progress{place}></progress> {escape(behind)}",
        }


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
        page = _NotebookBar(what, total, in_bytes) if console.is_jupyter else None
        shown = threading.Event()

        def show() -> None:
            shown.set()
            if page:
                page.start()
            elif console.is_terminal:
                bar.start()
            else:
                console.print(f"{what} ...", highlight=False, soft_wrap=True)

        timer = threading.Timer(DELAY_SECONDS, show)
        timer.daemon = True
        timer.start()
        try:
            yield (
                page.update
                if page
                else lambda done, note="": bar.update(row, completed=done, note=note)
            )
        finally:
            timer.cancel()
            timer.join()
            if shown.is_set() and (page or console.is_terminal):
                (page or bar).stop()

    def note(self, text: str) -> None:
        """Print the line on standard error."""
        Console(file=sys.stderr).print(text, highlight=False, markup=False, soft_wrap=True)
