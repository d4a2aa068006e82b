"""Log-probabilities kept on disk, so that nothing is computed twice.

A figure is filed under what it depends on and nothing else: the weights (adapter included), the
precision, the version of the scoring code and the very tokens of context and continuation, in which
chat template, prompt and question are contained. A model's or a prompt's name plays no part.

One SQLite file: additions are whole or absent, and several processes may read and add at once.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

from truing.models.tree import Tokens
from truing.models.user_cache import ModelUnavailable, cache_folder
from truing.types import stable_hash

SCORING_VERSION = 2
"""To be raised when the code that scores gives other figures than before."""
_WAIT_SECONDS = 120.0
_AT_ONCE = 500  # SQLite's limit on variables in one statement is at least 999


def score_key(model: str, dtype: str, context: Tokens, continuation: Tokens) -> bytes:
    """32 bytes that stand for one log-probability. `model` is the hash of weights and adapter."""
    digest = hashlib.sha256(f"{SCORING_VERSION}|{model}|{dtype}|{len(context)}|".encode())
    digest.update(array("q", [*context, *continuation]).tobytes())
    return digest.digest()


def text_key(model: str, *parts: str) -> bytes:
    """32 bytes that stand for one figure that another program gave for some texts.

    `model` says as well as can be known which model it was.
    """
    return bytes.fromhex(stable_hash("text", str(SCORING_VERSION), model, *parts))


class ScoreStore:
    """The file of scores; by default in the user's cache folder.

    A file that isn't a whole database (a broken disk) is put aside under another name. Raises
    ModelUnavailable where the file can't be opened or written: no right, no room, locked for too long.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_folder() / "scores.sqlite"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._opened()
        except sqlite3.OperationalError as error:  # not a broken file
            raise self._unusable(error) from None
        except sqlite3.DatabaseError:
            self._path.replace(self._path.with_name(self._path.name + ".broken"))
            self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            with connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, nats REAL) WITHOUT ROWID"
                )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _unusable(self, error: sqlite3.Error) -> ModelUnavailable:
        return ModelUnavailable(
            f"scores: {self._path} can't be used ({error}); make room, or set TRUING_CACHE to a folder "
            "that you may write to, and try again"
        )

    def known(self, keys: Sequence[bytes]) -> dict[bytes, float]:
        """Those of the scores that are there. An undefined one is NaN."""
        found: dict[bytes, float] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            places = ",".join("?" * len(some))
            rows = self._connection.execute(
                f"SELECT key, nats FROM scores WHERE key IN ({places})", some
            )
            found |= {key: math.nan if nats is None else nats for key, nats in rows}
        return found

    def add(self, scores: Mapping[bytes, float]) -> None:
        """Keep some scores: all of them or, if we are killed meanwhile, none."""
        try:
            with self._connection:  # SQLite writes NaN as NULL
                self._connection.executemany(
                    "INSERT OR REPLACE INTO scores VALUES (?, ?)", list(scores.items())
                )
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
