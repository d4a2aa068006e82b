"""Waiting for what has to come, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG = 60.0
"""Seconds that are given to what has to succeed: none of them is spent where it does at once."""


def until(true: Callable[[], object]) -> None:
    """Waits for something to be true. Raises AssertionError after `LONG` seconds."""
    given_up = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < given_up, f"waited for {LONG:g} s"
        time.sleep(0.01)
