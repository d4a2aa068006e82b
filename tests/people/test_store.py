"""The store opens, migrates, refuses what it can't read, and never changes what people said."""

from __future__ import annotations

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, delete, event, func, select, text, update
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from people_work import fill, someone, work
from truing.cli.main import app
from truing.data.messages import prompt_hash
from truing.people import Store, open_store
from truing.people.content import add_completion, add_prompt, add_task
from truing.people.store import store_url, trouble
from truing.people.tables import APPEND_ONLY, Base, Judgement, Prompt
from truing.types import InputError


def test_the_migrations_make_exactly_the_tables(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []


def test_what_people_said_cannot_be_changed(store: Store) -> None:
    fill(store)
    work(store, someone(store, "Ada"))
    for name in APPEND_ONLY:
        table = Base.metadata.tables[name]
        with store.reading() as session:
            assert session.scalar(select(func.count()).select_from(table)), name
        column = list(table.columns)[-1]
        with pytest.raises(DBAPIError, match="append-only"), store.writing() as session:
            session.execute(update(table).values({column: column}))


def test_a_store_of_a_newer_schema_is_refused(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    name = store.url.render_as_string(hide_password=False)
    with pytest.raises(InputError, match=r"schema 9999.*newer truing"):
        open_store(name)


def test_a_password_is_in_no_message(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InputError) as refused:
        open_store(store.url.render_as_string(hide_password=False))
    assert (store.url.password or "no password") not in str(refused.value)


def test_sqlite_is_durable(sqlite_store: Store) -> None:
    with sqlite_store.engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
    }


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    name = str(tmp_path / "new.db")
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(open_store, [name] * 6))
    for store in stores:
        store.close()
    with sqlite3.connect(name) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0006",)
        ]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mysql://localhost/x", "no support for mysql"),
        ("://", "not a database URL"),
        ("sqlite://", "in memory"),
        ("missing/folder/people.db", "no folder"),
        ("postgresql://truing@127.0.0.1:1/x", "can't be opened"),
    ],
)
def test_what_is_no_store_is_refused(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        open_store(name)


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("These are my notes, and not a database at all. " * 40)
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"notes\.txt.*not a store"):
        open_store(str(file))
    assert file.read_bytes() == before
    with pytest.raises(InputError, match="no file"):
        open_store(str(tmp_path / "absent.db"), must_exist=True)
    assert not (tmp_path / "absent.db").exists()


def test_a_new_store_is_for_its_owner_alone_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(str(tmp_path / "new.db"))
        fill(store)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)
    (tmp_path / "new.db").chmod(0o640)
    open_store(str(tmp_path / "new.db")).close()
    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o640


SECRET = "nobody but Ada has seen the heron"


def test_an_error_quotes_no_text(store: Store) -> None:
    with pytest.raises(DBAPIError) as refused, store.writing() as session:
        session.execute(text("INSERT INTO prompts (source) VALUES (:secret)"), {"secret": SECRET})
    assert SECRET not in trouble(refused.value) and "\n" not in trouble(refused.value)
    # PostgreSQL quotes the row itself.
    assert SECRET not in str(refused.value).replace(str(refused.value.orig), "")


@pytest.mark.parametrize(
    ("pragma", "words"),
    [("max_page_count=1", "database or disk is full"), ("query_only=ON", "readonly database")],
)
def test_a_full_disk_and_a_store_that_cannot_be_written_are_one_line(
    tmp_path: Path, pragma: str, words: str
) -> None:
    open_store(str(tmp_path / "people.db")).close()
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"prompt": "{SECRET} {n}"}}\n' for n in range(300)))

    def limit(connection: Any, record: Any) -> None:
        connection.execute(f"PRAGMA {pragma}")

    event.listen(Engine, "connect", limit)
    try:
        command = ["data", "import", str(path), "--store", str(tmp_path / "people.db")]
        done = CliRunner().invoke(app, command)
    finally:
        event.remove(Engine, "connect", limit)
    assert done.exit_code == 2 and words in done.stderr and SECRET not in done.stderr
    assert done.stderr.count("\n") == 1 and "INSERT" not in done.stderr


def test_urls() -> None:
    assert str(store_url("a b.db")) == "sqlite:///a b.db"
    assert store_url("postgresql://u@h/d").drivername == "postgresql+psycopg"
    assert store_url("postgres://u@h/d").drivername == "postgresql+psycopg"


def test_the_same_text_is_kept_once(store: Store) -> None:
    messages = [{"role": "user", "content": "Why?"}]
    with store.writing() as session:
        first = add_prompt(session, messages, source="one", consent="public")
        again = add_prompt(session, messages, source="two", consent="given")
        assert again is first and first.source == "one"
        completion = add_completion(session, first, "a", "Because.")
        assert add_completion(session, first, "a", "Because.") is completion
        assert add_completion(session, first, "b", "Because.") is not completion
        task = add_task(session, "rating", first, [completion], wanted=0)
        assert add_task(session, "rating", first, [completion], wanted=3) is task
        assert task.wanted == 3


def test_a_hash_names_exactly_one_text() -> None:
    split = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    joined = [{"role": "user", "content": "ab"}]
    spaced = [{"role": "user", "content": "a b"}]
    assert len({prompt_hash(split), prompt_hash(joined), prompt_hash(spaced)}) == 3


def test_rows_that_others_need_cannot_be_deleted(store: Store) -> None:
    fill(store)
    work(store, someone(store, "Ada"), most=1)
    for table in (Prompt, Judgement):
        with pytest.raises(DBAPIError), store.writing() as session:
            session.execute(delete(table))
