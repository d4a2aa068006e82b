"""Log-probabilities kept on disk, so that nothing is computed twice.

A figure is filed under what it depends on and nothing else: the weights (adapter included), the
precision, the version of the scoring code and the very tokens of context and continuation.
"""

from __future__ import annotations

import math
from typing import Any

from truing.models.engine.tree import Tokens
from truing.models.memo.disk import DiskStore, token_key
from truing.types import stable_hash

SCORING_VERSION = 5
"""To be raised when the code that scores gives other figures than before."""


def score_key(model: str, dtype: str, context: Tokens, continuation: Tokens) -> bytes:
    """32 bytes that stand for one log-probability. `model` is the hash of weights and adapter."""
    return token_key(f"{SCORING_VERSION}|{model}|{dtype}", context, continuation)


def text_key(model: str, *parts: str) -> bytes:
    """32 bytes that stand for one figure that another program gave for some texts.

    `model` says as well as can be known which model it was.
    """
    return bytes.fromhex(stable_hash("text", str(SCORING_VERSION), model, *parts))


class ScoreStore(DiskStore[float]):
    """Log-probabilities (nats) by `score_key`. An undefined one is NaN."""

    NAME = "scores"
    COLUMN = "nats REAL"

    def _read(self, stored: Any) -> float:
        return math.nan if stored is None else float(stored)

    def _written(self, value: float) -> float:
        return value  # SQLite writes NaN as NULL
