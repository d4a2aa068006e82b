"""One operation that is under way."""

from __future__ import annotations

from dataclasses import dataclass

from truing.progress.pace import Pace, clock_time, in_words


@dataclass(eq=False)
class Operation:
    """What is done, how much of it, since when and how fast."""

    what: str
    total: int | None
    in_bytes: bool
    begun: float
    pace: Pace
    done: int = 0
    note: str = ""

    def counted(self, of: str) -> str:
        """How much of how much, with `of` between them; empty where the total isn't known."""
        if not self.total:
            return ""
        unit = 10**6 if self.in_bytes else 1
        return f"{self.done // unit}{of}{self.total // unit}{' MB' if self.in_bytes else ''}"

    def spent(self, now: float) -> str:
        """How long it has taken."""
        return clock_time(now - self.begun)

    def left(self, now: float) -> str:
        """How long the rest will take; empty where that isn't known."""
        return in_words(self.pace.left(now, self.total))

    def line(self, now: float) -> str:
        """Where it is, for a log."""
        after = f"{self.counted(' of ')} after {self.spent(now)}".strip()
        return "; ".join(
            part for part in (f"{self.what}: {after}", self.left(now), self.note) if part
        )
