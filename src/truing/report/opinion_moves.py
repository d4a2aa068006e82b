"""When a move of opinions is one, and how it is written."""

from __future__ import annotations

from typing import Literal

from truing.report.metrics import interval, moved, number
from truing.types import Estimate

LEAST = 0.005
"""A move below it is none, whatever its interval: balanced orders leave intervals that narrow."""


def direction(difference: Estimate) -> Literal[-1, 0, 1]:
    """+1 or -1 where it moved beyond noise and by LEAST, else 0."""
    return moved(difference) if abs(difference.value or 0.0) >= LEAST else 0


def apart_text(difference: Estimate) -> str:
    """'+0.071 [+0.049, +0.094]'."""
    return f"{number(difference.value, sign=True)} {interval(difference, sign=True)}".rstrip()
