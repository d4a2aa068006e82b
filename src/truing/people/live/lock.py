"""One training at a time has people judge for it in a store. The lock ends with the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import filelock
from sqlalchemy import func, select

from truing.people.store import Store
from truing.types import InputError

_LOCK = 7_466_511
"""Names the lock on PostgreSQL."""


@contextmanager
def training_lock(store: Store) -> Iterator[None]:
    """Holds the store for one training. Raises InputError where another has it."""
    held = _on_sqlite if store.engine.dialect.name == "sqlite" else _on_postgresql
    with held(store):
        yield


def _taken(store: Store) -> InputError:
    return InputError(
        f"{store}: another training has people judge for it there; wait for its end, or name another "
        "store in reward.parts"
    )


@contextmanager
def _on_sqlite(store: Store) -> Iterator[None]:
    lock = filelock.FileLock(f"{store.url.database}.training.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise _taken(store) from None
    except OSError as error:
        raise InputError(f"{lock.lock_file}: can't be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _on_postgresql(store: Store) -> Iterator[None]:
    with store.engine.connect() as connection:
        if not connection.scalar(select(func.pg_try_advisory_lock(_LOCK))):
            raise _taken(store)
        connection.commit()  # the lock is the connection's, and no transaction need stay open
        try:
            yield
        finally:
            connection.scalar(select(func.pg_advisory_unlock(_LOCK)))
            connection.commit()
