"""What was computed once, kept on disk under a hash of all that it depends on.

One SQLite file for each kind of result: additions are whole or absent, and several processes may read
and add at once. A model's or a prompt's name plays no part in a key; the weights' hash and the very
tokens do, in which chat template, prompt and question are contained.

Additions go to a log beside the file (SQLite's write-ahead log), which is written out and synchronised
with the disk now and then, not once for each: waiting for the disk took nine tenths of an addition. What
was added outlives the process that added it, however that ends; where power is cut, the last additions
may be gone, and the rest is whole. A file on a disk that other machines may use, too, has no such log,
which they couldn't share: there each addition waits for the disk.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from truing.models.memo.file_systems import is_local
from truing.models.user_cache import ModelUnavailable, cache_folder

if TYPE_CHECKING:  # a report asks for what is kept of replies, and PyTorch takes seconds to load
    from truing.models.engine.tree import Tokens

Value = TypeVar("Value")
_WAIT_SECONDS = 120.0
_AT_ONCE = 500  # SQLite's limit on variables in one statement is at least 999
_LOG_PAGES = 8192
"""Of 4 kB, until the log is written out: a page that many additions change is then written once."""
_CACHE_KB = 64 * 1024
"""Inner pages of some 100 million keys."""
_BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite's files are called behind the name."""


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

    What `add` has returned from is kept though the process is killed with -9; see above for a power cut.
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
            for end in _BESIDE:
                with suppress(FileNotFoundError):
                    beside = self._path.with_name(self._path.name + end)
                    beside.replace(self._path.with_name(f"{self._path.name}.broken{end}"))
            self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, check_same_thread=False)
        try:
            self._choose_journal(connection)
            with connection:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {self.NAME} "
                    f"(key BLOB PRIMARY KEY, {self.COLUMN}) WITHOUT ROWID"
                )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _choose_journal(self, connection: sqlite3.Connection) -> None:
        """A write-ahead log, where no other machine can have the file open."""
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
        journal = "WAL" if is_local(self._path.parent) else "DELETE"
        with suppress(sqlite3.OperationalError):  # in use, or not ours to write: it stays as it is
            connection.execute(f"PRAGMA journal_mode={journal}")
        # Of a file with a log alone: else, a power cut in the middle of an addition could break it.
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")

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
        rows = sorted((key, self._written(values[key])) for key in values)
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
