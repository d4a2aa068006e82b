"""Signs of life: a worker that computes says every so often that it does, from a thread of its own.

The system answers for a process that is stopped or hangs in a lock as for one that computes
(`messages.notice_loss` only notices a machine that is gone), so workers answer for themselves.
"""

from __future__ import annotations

import math
import threading
from contextlib import suppress
from typing import Any, BinaryIO

from truing.models.pool.messages import LinkLost, Message, write

SILENCE_SECONDS = 60.0
"""Without a sign of life for so long, a worker counts as dead."""
_BEATS = 4  # in that time, so that one that comes late is no death
_OFTEN = 0.01  # seconds between two at least, whatever the other side asks for
_BEAT = {"beats": True}


def seconds_between(silence: float) -> float:
    """How often a worker gives a sign of life to a pool that waits `silence` seconds for one."""
    return silence / _BEATS


def asked_for(seconds: Any) -> float:
    """The seconds between signs of life that a pool asks for in its greeting; inf: none."""
    right = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
    return max(float(seconds), _OFTEN) if right else math.inf


def is_beat(message: Message) -> bool:
    """Whether a message is a sign of life, and no answer."""
    return message.content == _BEAT


class Heartbeat:
    """A context in which a sign of life goes out every so many seconds. Nothing else writes meanwhile."""

    def __init__(self, stream: BinaryIO, seconds: float) -> None:
        self._stream, self._seconds = stream, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> None:
        """Begins."""
        if self._seconds < math.inf:
            self._thread.start()

    def __exit__(self, *error: object) -> None:
        """Ends; none goes out from here on."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _beat(self) -> None:
        with suppress(LinkLost):  # whoever asked is gone: seen where the answer is sent
            while not self._over.wait(self._seconds):
                write(self._stream, Message(_BEAT))
