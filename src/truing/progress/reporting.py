"""What long operations report to, and the one that says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Advance(Protocol):
    """Says how much is done so far, in the units of the task's total, and what is seen there."""

    def __call__(self, done: int, note: str = "") -> None:
        """`done` counts from the beginning; `note` stands behind the bar."""


class Progress(Protocol):
    """What long operations report to."""

    def task(
        self, what: str, total: int | None = None, *, in_bytes: bool = False
    ) -> AbstractContextManager[Advance]:
        """Show one operation while the context lasts. `total` is None where unknown.

        Who goes on where another process was interrupted advances to that place at once, so that what was
        done then doesn't count as done now.
        """

    def stage(self, name: str, *, at_once: bool = True) -> AbstractContextManager[None]:
        """Whatever is reported while the context lasts belongs to this stage of a longer work.

        The name is said `at_once`, or else with the first operation in it that takes long.
        """

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

    @contextmanager
    def stage(self, name: str, *, at_once: bool = True) -> Iterator[None]:
        """Show nothing."""
        yield

    def note(self, text: str) -> None:
        """Say nothing."""
