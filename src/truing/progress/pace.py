"""How long the rest will take."""

from __future__ import annotations

from collections import deque


class Pace:
    """How long the rest will take, by how fast the later half of the time until now has been.

    Early passes mislead: what an interrupted run had done, or what was on disk already, comes at once.
    """

    def __init__(self, now: float) -> None:
        self._begun = now
        self._seen: deque[tuple[float, int]] = deque([(now, 0)])

    def saw(self, now: float, done: int) -> None:
        """So much is done at this time."""
        self._seen.append((now, done))
        middle = self._begun + (now - self._begun) / 2
        while len(self._seen) > 2 and self._seen[1][0] <= middle:
            self._seen.popleft()

    def left(self, now: float, total: int | None) -> float | None:
        """Seconds, or None before the first pass and where a pass takes longer than all was to take."""
        (since, before), (seen, done) = self._seen[0], self._seen[-1]
        if total is None or done <= before:
            return None
        seconds = (total - done) * (seen - since) / (done - before) - (now - seen)
        return seconds if seconds >= 0 else None


def in_words(seconds: float | None) -> str:
    """What is left, as coarse as it is uncertain; empty where it isn't known."""
    if seconds is None:
        return ""
    if seconds < 55:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


def clock_time(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
    )
