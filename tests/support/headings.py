"""The names of the stages that a run says, as whoever waits for it sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from truing.progress import SilentProgress


class Headings(SilentProgress):
    """Collects them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def stage(self, name: str, *, at_once: bool = True) -> Iterator[None]:
        """See Progress."""
        self.names.append(name)
        yield
