"""A limit to how long a function of the user's may take, where the system can interrupt it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

SECONDS = 300.0
"""For one answer, where the spec says nothing else."""


class TakesTooLong(BaseException):
    """The time is over. No Exception, which a function's own `except` might take for one of its own."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises TakesTooLong inside where it takes longer.

    Python's own code and waiting are interrupted, but no library's loop; and nothing is in another thread
    than the first, on Windows, or where somebody has set the alarm already.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
        or signal.getitimer(signal.ITIMER_REAL)[0]
    ):
        yield
        return
    before = signal.signal(signal.SIGALRM, _over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)


def _over(*_: object) -> NoReturn:
    raise TakesTooLong
