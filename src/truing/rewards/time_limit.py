"""A limit to how long a function of the user's may take, where the system can interrupt it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

SECONDS = 300.0
"""For one answer, where the spec says nothing else."""

_SOON = 1e-3


class TakesTooLong(BaseException):
    """The time is over. No Exception, which a function's own `except` might take for one of its own."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises TakesTooLong inside where it takes longer.

    Python's own code and waiting are interrupted, but no library's loop; and nothing is in another thread
    than the first, or on Windows. An alarm that somebody has set already goes on, and ends it where it
    is nearer.
    """
    if not hasattr(signal, "setitimer") or not _first_thread():
        yield
        return
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    if 0 < left <= seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, _over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # the alarm may still have come in between
            signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
            if left:
                signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), _SOON))


def _first_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _over(*_: object) -> NoReturn:
    raise TakesTooLong
