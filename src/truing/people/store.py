"""The store: a database of prompts, answers and judgements, opened by path or URL.

SQLite is in WAL mode with `synchronous=FULL`: a commit is on the disk before it returns, so a
judgement that a browser saw acknowledged outlives a kill and a power cut. `secure_delete` overwrites
what is deleted. Writers begin with BEGIN IMMEDIATE, so that they wait for each other instead of
failing half way.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from truing.types import InputError

BUSY_SECONDS = 30
"""How long a writer waits for another one."""
_MIGRATION_LOCK = 7_466_510
"""Names the lock that PostgreSQL holds while one process brings the schema up to date."""


class Store:
    """A database with the newest schema. Sessions are short: one for each page or batch."""

    def __init__(self, engine: Engine, url: URL) -> None:
        self.engine = engine
        self.url = url
        self._writing_engine = engine.execution_options(writing=True)
        # SQLite's writers wait for each other by sleeping longer and longer. Those of one process
        # had better stand in line: it is what keeps pages fast when fifty people work at once.
        alone = engine.dialect.name == "sqlite"
        self._line: AbstractContextManager[Any] = threading.Lock() if alone else nullcontext()

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back where something was raised."""
        with self._line, Session(self._writing_engine) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def store_url(name: str) -> URL:
    """The database's URL; a name without '://' is the path of a SQLite file.

    Raises InputError for a database other than SQLite and PostgreSQL.
    """
    if "://" not in name:
        return URL.create("sqlite", database=name)
    try:
        url = make_url(name)
    except (ArgumentError, ValueError):
        raise InputError(
            "--store: not a database URL; give a path, sqlite:///PATH or "
            "postgresql://USER@HOST/DATABASE"
        ) from None
    backend = url.get_backend_name()
    if backend == "postgres":
        backend = "postgresql"
    if backend not in ("sqlite", "postgresql"):
        raise InputError(f"--store: no support for {backend}; give a SQLite or PostgreSQL URL")
    return url.set(drivername="postgresql+psycopg" if backend == "postgresql" else "sqlite")


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def trouble(error: SQLAlchemyError) -> str:
    """What is wrong with a database, in a line that quotes no text of anybody's."""
    cause = getattr(error, "orig", None)
    if isinstance(error, OperationalError | InterfaceError) and cause is not None:
        # PostgreSQL's further lines may quote a row.
        return str(cause).strip().split("\n")[0]
    return type(cause or error).__name__


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise InputError("--store: a store in memory would be lost; give the path of a file")
        folder = Path(url.database).absolute().parent
        if not folder.is_dir():
            raise InputError(f"--store: no folder {folder}; make it first, or give another path")
        _make_private(Path(url.database))
        engine = create_engine(
            url,
            connect_args={"timeout": BUSY_SECONDS},
            pool_size=20,
            max_overflow=30,
            hide_parameters=True,  # people's texts, in the message of an error
        )
        _set_up_sqlite(engine)
        return engine
    return create_engine(
        url, pool_size=10, max_overflow=10, pool_pre_ping=True, hide_parameters=True
    )


def _make_private(file: Path) -> None:
    """Make the file of a new store so that nobody else can read it; SQLite's others take after it."""
    with contextlib.suppress(OSError):  # it is there, or SQLite says why it can't be
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _migrate(connection: Connection, where: str) -> None:
    """Bring the schema up to date. Raises InputError for one that only a newer truing knows."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    with as_file(files("truing.people").joinpath("migrations")) as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        scripts = ScriptDirectory.from_config(config)
        known = {script.revision for script in scripts.walk_revisions()}
        found = MigrationContext.configure(connection).get_current_heads()
        if unknown := set(found) - known:
            raise InputError(
                f"{where}: the store has schema {', '.join(sorted(unknown))}, which this version "
                "of truing doesn't know; use the newer truing that wrote it, or another store"
            )
        if set(found) != set(scripts.get_heads()):
            command.upgrade(config, "head")


def open_store(name: str, *, must_exist: bool = False) -> Store:
    """Open a store, making it where there is none, and bring its schema up to date.

    Raises InputError where it can't be opened, is something else than a store, has a newer schema,
    or (with `must_exist`) isn't there.
    """
    url = store_url(name)
    where = url.render_as_string(hide_password=True)
    if must_exist and url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise InputError(f"--store: no file {url.database}; 'truing data import' makes a store")
    engine = _engine(url)
    store = Store(engine, url)
    try:
        with engine.execution_options(writing=True).begin() as connection:
            _migrate(connection, where)
    except NoSuchModuleError as error:
        raise InputError(f"--store: {error}") from None
    except OperationalError as error:
        store.close()
        raise InputError(f"{where}: the database can't be opened ({trouble(error)})") from None
    except DBAPIError as error:
        store.close()
        raise InputError(f"{where}: not a store of truing ({error.orig})") from None
    except BaseException:
        store.close()
        raise
    return store
