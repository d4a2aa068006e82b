"""A console for tables, bars and colours of our own; what stands in them is harmless."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from truing.terminal.text import harmless


class TerminalConsole(Console):
    """rich's, in which square brackets are square brackets and no text acts on the terminal."""

    def __init__(self, file: IO[str] | None = None, *, width: int | None = None) -> None:
        super().__init__(file=file, width=width, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """See rich: harmless before it is measured, so that columns stay in line."""
        return super().render_str(harmless(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """See rich: what it yields itself (colours, moves of the cursor) isn't in the texts yet."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(harmless(segment.text), segment.style)


def console() -> TerminalConsole:
    """For results, on standard output."""
    return TerminalConsole(sys.stdout)


def error_console() -> TerminalConsole:
    """For progress, on standard error."""
    return TerminalConsole(sys.stderr)
