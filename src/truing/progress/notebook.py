"""A bar in a notebook."""

from __future__ import annotations

import time
from html import escape
from typing import Any

from truing.progress.pace import Pace, in_words

REDRAW_SECONDS = 0.2


class NotebookBar:
    """A bar in a notebook's own means: rich's would be empty where ipywidgets isn't installed."""

    def __init__(self, what: str, total: int | None, in_bytes: bool, pace: Pace) -> None:
        self._pace = pace
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
        left = in_words(self._pace.left(time.monotonic(), self._total))
        behind = " ".join(part for part in (counted, spent, left, self._note) if part)
        place = f' value="{self._done}" max="{self._total}"' if self._total else ""
        return {
            "text/plain": f"{self._what} {behind}",
            "text/html": f"{escape(self._what)} <progress{place}></progress> {escape(behind)}",
        }
