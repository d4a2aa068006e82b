"""Several servers that share work out, of which some may go: others take over what they left.

A job goes to whichever server has least to do. Where that one can't be reached the job goes to another,
and the server is left alone for a while. Which server does a job makes no difference to what is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from truing.models.remote.client import Unreachable

AT_ONCE = 32
"""Jobs that a server is given at once: it batches them itself."""
LEFT_ALONE = 60.0
"""Seconds for which a server that couldn't be reached is asked nothing, where there are others."""


class Closable(Protocol):
    """A server, which is named in messages."""

    def close(self) -> None:
        """End everything that is still asked."""
        ...


Server = TypeVar("Server", bound=Closable)
Made = TypeVar("Made")


class NoServerLeft(Exception):
    """None can be reached; the message says why for each."""


class Fleet(Generic[Server]):
    """Servers and how each is. `run` may be called from any thread, by one at a time."""

    def __init__(
        self, servers: Sequence[Server], say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.servers = list(servers)
        self._say = say
        self._lock = threading.Lock()
        self._busy = [0] * len(self.servers)
        self._gone: dict[int, float] = {}  # since when
        self._closed = False

    def run(self, jobs: Sequence[Callable[[Server], Made]]) -> list[Made]:
        """What the jobs give, in order. Raises NoServerLeft, or what a job raises beside Unreachable."""
        pool = ThreadPoolExecutor(max(1, min(len(jobs), AT_ONCE * len(self.servers))))
        try:
            running = [pool.submit(self._done, job) for job in jobs]
            return [future.result() for future in running]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def everywhere(self, job: Callable[[Server], object]) -> None:
        """A job that each server is to do which can be reached; one that can't is left alone."""
        for number in range(len(self.servers)):
            if number in self._gone:
                continue
            try:
                job(self.servers[number])
            except Unreachable as error:
                self._leave(number, error)

    def close(self) -> None:
        """End everything that is still asked."""
        self._closed = True
        for server in self.servers:
            server.close()

    def _done(self, job: Callable[[Server], Made]) -> Made:
        tried: dict[int, str] = {}  # by this job, and why in vain
        while True:
            number = self._taken(tried)
            try:
                made = job(self.servers[number])
            except Unreachable as error:
                tried[number] = str(error)
                self._leave(number, error)
            else:
                self._back(number)
                return made
            finally:
                with self._lock:
                    self._busy[number] -= 1

    def _taken(self, tried: Mapping[int, str]) -> int:
        """The server with least to do. Raises NoServerLeft where all were tried for this job."""
        with self._lock:
            left = [number for number in range(len(self.servers)) if number not in tried]
            if not left:
                raise NoServerLeft(
                    "; ".join(f"{self.servers[n]} {tried[n]}" for n in sorted(tried))
                )
            well = [number for number in left if number not in self._gone]
            late = time.monotonic() - LEFT_ALONE
            again = [number for number in left if self._gone.get(number, late) < late]
            # Where nobody else is left, those that are gone may have come back.
            number = min([*well, *again] or left, key=lambda each: self._busy[each])
            self._busy[number] += 1
            return number

    def _leave(self, number: int, error: Unreachable) -> None:
        with self._lock:
            known = number in self._gone
            self._gone[number] = time.monotonic()
            others = len(self.servers) - len(self._gone)
        if not known and others and not self._closed:
            self._say(f"{self.servers[number]} {error}; the others take over")

    def _back(self, number: int) -> None:
        with self._lock:
            back = self._gone.pop(number, None)
        if back is not None:
            self._say(f"{self.servers[number]} answers again")
