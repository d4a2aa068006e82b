"""Whether the other processes of a training are still there.

A process that is killed closes its connections, which ends whatever waits for it. One that is stopped, or
whose machine is gone, closes nothing: the others would wait for as long as a training may take. So each
counts up a number of its own in the store that brought them together, and looks at everybody else's.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Protocol

import torch

EVERY = 5.0
"""Seconds between two beats."""
BOUND = 120.0
"""Seconds without a beat after which a process is lost."""
_GLOO = "gloo/"
"""In its messages, which name the file: its errors have no class of their own."""


class ProcessLost(Exception):
    """Another process of a training has ended before it, or isn't heard of any more."""

    def __init__(self, which: str) -> None:
        super().__init__(
            f"{which}, so this training has ended; started again with --resume, it goes on from its last "
            "checkpoint, with as many processes as you like"
        )


@contextmanager
def all_there() -> Iterator[None]:
    """While processes wait for one another. Raises ProcessLost where a connection to one has closed."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and _GLOO not in str(error):
            raise
        raise ProcessLost("another process has ended (killed, or out of memory)") from error


class Counters(Protocol):
    """What every process sees alike: a store of `torch.distributed`."""

    def add(self, key: str, amount: int) -> int:
        """The counter of this name, which begins at 0, once the amount has been added."""
        ...


@dataclass
class Heartbeat:
    """Process `index` of `count`. `lost` is called with the number of one that isn't heard of: at most
    once, in a thread of its own."""

    store: Counters
    index: int
    count: int
    lost: Callable[[int], None]
    every: float = EVERY
    bound: float = BOUND
    _ended: Event = field(default_factory=Event)

    def start(self) -> None:
        """Beats until the process ends."""
        self.store.add(self._name(self.index), 1)
        Thread(target=self._beat, name="heartbeat", daemon=True).start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Says that nothing more is to be expected of this process."""
        if not self._ended.is_set():
            self._ended.set()
            with suppress(RuntimeError):  # whoever kept the store is gone
                self.store.add(f"ended/{self.index}", 1)

    def _name(self, index: int) -> str:
        return f"beats/{index}"

    def _beat(self) -> None:
        try:
            missing = self._missing()
        except RuntimeError:
            # The store is gone, and with it the first process, which may just be done.
            missing = None if self._ended.wait(self.bound) else 0
        if missing is not None and not self._ended.is_set():
            self.lost(missing)

    def _missing(self) -> int | None:
        """The number of the first that isn't heard of; None once this process ends."""
        others = [index for index in range(self.count) if index != self.index]
        heard = dict.fromkeys(others, (-1, time.monotonic()))
        while not self._ended.wait(self.every):
            self.store.add(self._name(self.index), 1)
            now = time.monotonic()
            for index in others:
                beats = self.store.add(self._name(index), 0)
                if beats != heard[index][0] or self.store.add(f"ended/{index}", 0):
                    heard[index] = (beats, now)
                elif now - heard[index][1] > self.bound:
                    return index
        return None
