"""Calls of somebody else's code on a thread of its own, waited for within a limit.

Whatever it raises there ends nothing here, `SystemExit` and `KeyboardInterrupt` included: one that reaches
the caller is the user's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

Work = Callable[[], None]


class Hangs(Exception):
    """What was called didn't come back within its limit, or an earlier call still hasn't."""


class Aside:
    """One thread for all calls, in their order, since what is called may keep things by thread. The process
    doesn't wait for it when it ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._works: SimpleQueue[tuple[Work, Future[None]] | None] = SimpleQueue()
        self._last: Future[None] | None = None

    def error_of(self, work: Work, seconds: float) -> BaseException | None:
        """Calls, and gives what it raised, or `Hangs`."""
        if self._last is None:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        elif not self._last.done():
            return Hangs("still hasn't answered")
        self._last = Future()
        self._works.put((work, self._last))
        try:
            return self._last.exception(seconds)
        except TimeoutError:
            return Hangs(f"didn't answer within {seconds:g} s")

    def close(self) -> None:
        """Ends the thread, once what it is at has come back."""
        if self._last is not None:
            self._works.put(None)
            self._last = None

    def _run(self) -> None:
        while given := self._works.get():
            work, outcome = given
            try:
                work()
            except BaseException as error:  # an exit is asked of us by a library, not by the user
                outcome.set_exception(error)
            else:
                outcome.set_result(None)
