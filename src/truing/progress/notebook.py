"""A bar in a notebook."""

from __future__ import annotations

from html import escape
from typing import Any

from truing.progress.operation import Operation

REDRAW_SECONDS = 0.2


class NotebookBar:
    """A bar in a notebook's own means: rich's would be empty where ipywidgets isn't installed."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._drawn = operation.begun
        self._display: Any = None

    def start(self, now: float) -> None:
        """Puts the bar under the cell."""
        from IPython.display import display  # there, because only a notebook comes here

        self._display = display(self._page(now), raw=True, display_id=True)

    def update(self, now: float) -> None:
        """Draws anew, a few times a second at most: each drawing is a message to the browser."""
        if self._display is not None and now - self._drawn > REDRAW_SECONDS:
            self._drawn = now
            self._display.update(self._page(now), raw=True)

    def stop(self) -> None:
        """Takes the bar away."""
        if self._display is not None:
            self._display.update({"text/plain": "", "text/html": ""}, raw=True)

    def _page(self, now: float) -> dict[str, str]:
        operation = self._operation
        parts = (operation.counted("/"), operation.spent(now), operation.left(now), operation.note)
        behind = " ".join(part for part in parts if part)
        place = f' value="{operation.done}" max="{operation.total}"' if operation.total else ""
        return {
            "text/plain": f"{operation.what} {behind}",
            "text/html": f"{escape(operation.what)} <progress{place}></progress> {escape(behind)}",
        }
