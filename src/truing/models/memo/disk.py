"""What was computed once, kept on disk under a hash of all that it depends on.

One SQLite file for each kind of result: additions are whole or absent, and several processes may read
and add at once. A model's or a prompt's name plays no part in a key; the weights' hash and the very
tokens do, in which chat template, prompt and question are contained.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from truing.models.user_cache import ModelUnavailable, cache_folder

if TYPE_CHECKING:  # a report asks for what is kept of replies, and PyTorch takes seconds to load
    from truing.models.engine.tree import Tokens

Value = TypeVar("Value")
_WAIT_SECONDS = 120.0
_AT_ONCE = 500  # SQLite's limit on variables in one statement is at least 999


def token_key(settings: str, context: Tokens, continuation: Tokens = ()) -> bytes:
    """32 bytes that stand for a result about some tokens; `settings` is all else it depends on."""
    digest = hashlib.sha256(f"{settings}|{len(context)}|".encode())
    digest.update(array("q", [*context, *continuation]).tobytes())
    return digest.digest()


class DiskStore(Generic[Value]):
    """A file of values by key; by default in the user's cache folder.

    Threads may share one: a server's answer in others than the one that opened it. A file that isn't a
    whole database (a broken disk) is put aside under another name. Raises
    ModelUnavailable where the file can't be opened or written: no right, no room, locked for too long.
    """

    NAME: ClassVar[str]
    """The file's name without its ending; messages begin with it, and so is the table called."""
    COLUMN: ClassVar[str]
    """The column of values with its type."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_folder() / f"{self.NAME}.sqlite"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._one_at_a_time = threading.Lock()
        try:
            self._connection = self._opened()
        except sqlite3.OperationalError as error:  # not a broken file
            raise self._unusable(error) from None
        except sqlite3.DatabaseError:
            self._path.replace(self._path.with_name(self._path.name + ".broken"))
            self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, check_same_thread=False)
        try:
            with connection:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {self.NAME} "
                    f"(key BLOB PRIMARY KEY, {self.COLUMN}) WITHOUT ROWID"
                )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _unusable(self, error: sqlite3.Error) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self.NAME}: {self._path} can't be used ({error}); make room, or set TRUING_CACHE to a "
            "folder that you may write to, and try again"
        )

    def _read(self, stored: Any) -> Value:
        """The value behind what SQLite gave."""
        raise NotImplementedError

    def _written(self, value: Value) -> Any:
        """What SQLite is given for a value."""
        raise NotImplementedError

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Value]:
        """Those of the values that are there."""
        found: dict[bytes, Value] = {}
        column = self.COLUMN.split()[0]
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            places = ",".join("?" * len(some))
            query = f"SELECT key, {column} FROM {self.NAME} WHERE key IN ({places})"
            with self._one_at_a_time:
                rows = self._connection.execute(query, some).fetchall()
            found |= {key: self._read(stored) for key, stored in rows}
        return found

    def add(self, values: Mapping[bytes, Value]) -> None:
        """Keep some values: all of them or, if we are killed meanwhile, none."""
        rows = [(key, self._written(value)) for key, value in values.items()]
        try:
            with self._one_at_a_time, self._connection:
                self._connection.executemany(
                    f"INSERT OR REPLACE INTO {self.NAME} VALUES (?, ?)", rows
                )
        except sqlite3.OperationalError as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        with self._one_at_a_time:
            self._connection.close()
