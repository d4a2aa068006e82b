"""Estimates of a reward model as its lines and page write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.report.metrics import DASH

Document = Mapping[str, Any]


def value_in_words(estimate: Document, *, sign: bool = False) -> str:
    """The value; a dash where there is none."""
    if estimate["value"] is None:
        return DASH
    return f"{estimate['value']:{'+' if sign else ''}.3f}".replace("-", "−")


def interval_in_words(estimate: Document, *, sign: bool = False) -> str:
    """The interval; nothing where there is none."""
    if estimate["low"] is None:
        return ""
    form = "+.3f" if sign else ".3f"
    return f"[{estimate['low']:{form}}, {estimate['high']:{form}}]".replace("-", "−")


def in_words(estimate: Document, *, sign: bool = False) -> str:
    """The value with its interval."""
    return f"{value_in_words(estimate, sign=sign)} {interval_in_words(estimate, sign=sign)}".strip()
