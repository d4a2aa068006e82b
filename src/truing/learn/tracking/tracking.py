"""A training shown to its trackers. None of them can stop it: what fails is said once, and counted.

The training waits for each call, so that a tracker sees the steps in their order, but only for so long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from truing.learn.events import scalars
from truing.learn.tracking.aside import Aside, Hangs
from truing.learn.tracking.tracker import Restoring, Tracker, Training

PATIENCE = 3
"""Failures in a row after which a tracker is shown no more."""
BEGIN_SECONDS, LOG_SECONDS, END_SECONDS = 120.0, 60.0, 300.0
"""How long a tracker may take to begin, for a step, and to end: it may have much to send then."""


class Tracking:
    """The trackers of one training, by name. `say` is told what fails."""

    def __init__(
        self,
        training: Training,
        trackers: Mapping[str, Tracker],
        say: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.training = training
        self.begun = False
        self._shown = [_Shown(name, tracker, say) for name, tracker in trackers.items()]

    def begin(self, earlier: Sequence[Mapping[str, Any]]) -> None:
        """Begins with each, and shows it those of the earlier rows that it doesn't have."""
        self.begun = True
        for each in self._shown:
            each.begin(self.training)
        for row in earlier:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Shows the numbers of a row of the log."""
        for each in self._shown:
            each.log(int(row["step"]), dict(scalars(row)))

    def end(self, rows: Sequence[Mapping[str, Any]], finished: bool = True) -> None:
        """Ends with all rows of the log, of which the last is the summary."""
        if not rows:
            return
        if not self.begun:  # all steps were done, and nothing else, when it was interrupted
            self.begin(rows)
        last = rows[-1]
        summary = {
            **dict(scalars(last)),
            "steps": float(last["step"]),
            "stop": last.get("stop", ""),
        }
        for each in self._shown:
            each.end(summary, finished)

    @property
    def missing(self) -> dict[str, int]:
        """By name of a tracker the steps that it could not be shown."""
        return {each.name: each.missing for each in self._shown if each.missing}


class _Shown:
    """One tracker, and how it fares."""

    def __init__(self, name: str, tracker: Tracker, say: Callable[[str], object]) -> None:
        self.name, self._tracker, self._say = name, tracker, say
        self.missing = 0
        self._last = 0
        self._failures = 0
        self._said = False
        self._begun = False
        self._aside = Aside(f"tracker {name}")

    def begin(self, training: Training) -> None:
        def work() -> None:
            self._last = self._tracker.begin(training)
            self._begun = True

        self._try(work, BEGIN_SECONDS)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if step <= self._last:
            return
        shown = self._begun and self._failures < PATIENCE
        if not shown or not self._try(lambda: self._tracker.log(step, figures), LOG_SECONDS):
            self.missing += 1

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        if self._begun:
            # Who interrupts doesn't want to wait.
            seconds = END_SECONDS if finished else LOG_SECONDS
            self._try(lambda: self._tracker.end(summary, finished), seconds)
        self._aside.close()
        if self.missing:
            self._say(f"{self.name}: {self.missing} step(s) could not be shown there")

    def _try(self, work: Callable[[], None], seconds: float) -> bool:
        error = self._aside.error_of(work, seconds)
        if error is None:
            self._failures = 0
            return True
        self._failures += 1
        if isinstance(error, Hangs):
            self._begun = False  # nothing more can be shown to it
            if isinstance(self._tracker, Restoring):
                self._tracker.restore()
        if not self._said:
            reason = " ".join(str(error).split())[:200]
            kind = "" if isinstance(error, Hangs) else type(error).__name__
            said = ": ".join(part for part in (kind, reason) if part)
            self._say(f"{self.name}: {said}; the training goes on, and its log is complete")
        self._said = True
        return False
