"""A person's data goes when they ask for it: from every table and from the files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from people_work import PLAIN_KINDS, Someone, fill, someone, submission, work
from truing.people import Store, open_store
from truing.people.annotators import describe_self
from truing.people.answers import Answer
from truing.people.assigning import next_assignment
from truing.people.erasure import erase_annotator, erase_user
from truing.people.judging import record, save_draft, withdraw
from truing.people.tables import (
    Annotator,
    AnnotatorGroup,
    Assignment,
    Base,
    Completion,
    Demonstration,
    Draft,
    Erasure,
    Gold,
    Judgement,
    Prompt,
    Task,
)
from truing.types import InputError

SECRET = "the heron that only Ada has seen"


def rows(store: Store) -> dict[str, int]:
    with store.reading() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }


def demonstrate(store: Store, person: Someone, text: str) -> int:
    assignment = next_assignment(store, person.id)
    assert assignment is not None
    return record(
        store, assignment, person.id, submission(), Answer(text=text), kind="demonstration"
    )


def test_all_that_an_annotator_said_goes_and_nothing_else(store: Store) -> None:
    fill(store, wanted=2)
    fill(store, ["demonstration"], prompts=2, about="herons")
    bob = someone(store, "Bob")
    work(store, bob, most=4)
    before = rows(store)

    ada = someone(store, "Ada Lovelace")
    with store.writing() as session:
        describe_self(session, ada.id, {"first language": "English"})
    done = work(store, ada, most=3)
    withdraw(store, done[-1], ada.id, submission())
    work(store, ada)  # the same again, so that three rows supersede one another
    with store.writing() as session:
        judgement = session.get_one(Judgement, done[0])
        session.add(Gold(task_id=judgement.assignment.task_id, judgement_id=judgement.id))
    counts = erase_annotator(store, "Ada Lovelace")

    after = rows(store)
    assert after.pop("erasures") == 1 and before.pop("erasures") == 0
    assert after == before
    assert counts["annotators"] == 1 and counts["judgements"] > 3 and counts["gold"] == 1
    with store.reading() as session:
        kept = session.scalars(select(Erasure)).one().rows
        assert kept == counts and "Ada" not in str(kept)


def test_a_users_prompts_go_with_all_that_hangs_on_them(store: Store) -> None:
    fill(store, prompts=2, user_key="user-7", about="wrens")
    fill(store, prompts=1, user_key="user-8")
    ada = someone(store, "Ada")
    work(store, ada)
    counts = erase_user(store, "user-7")
    assert (
        counts["prompts"] == 2
        and counts["completions"] == 6
        and counts["tasks"] == 2 * len(PLAIN_KINDS)
    )
    with store.reading() as session:
        assert session.scalars(select(Prompt.user_key)).all() == ["user-8"]
        assert session.scalar(select(func.count()).select_from(Completion)) == 3
        assert session.scalar(select(func.count()).select_from(Task)) == len(PLAIN_KINDS)
        assert session.scalar(select(func.count()).select_from(Assignment)) == len(PLAIN_KINDS)
        assert session.scalar(select(func.count()).select_from(Annotator)) == 1
    with pytest.raises(InputError, match="user-7"):
        erase_user(store, "user-7")


def test_the_text_is_in_no_file_any_more(sqlite_store: Store, tmp_path: Path) -> None:
    fill(sqlite_store, ["demonstration"], prompts=3)
    ada, bob = someone(sqlite_store, "Ada"), someone(sqlite_store, "Bob")
    demonstrate(sqlite_store, ada, f"{SECRET}, said")
    assignment = next_assignment(sqlite_store, ada.id)
    assert assignment is not None
    save_draft(sqlite_store, assignment, ada.id, {"text": f"{SECRET}, typed"})
    demonstrate(sqlite_store, bob, "what Bob has seen")

    def bytes_of_all_files() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.glob("people.db*")))

    assert SECRET.encode() in bytes_of_all_files()
    erase_annotator(sqlite_store, "Ada")
    left = bytes_of_all_files()
    assert SECRET.encode() not in left and b"what Bob has seen" in left
    with sqlite_store.reading() as session:
        assert session.scalars(select(Demonstration.text)).all() == ["what Bob has seen"]
        assert session.scalars(select(Draft)).all() == []
        assert session.scalars(select(AnnotatorGroup)).all() == []


def test_what_a_reader_keeps_in_the_log_is_said(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("truing.people.store.BUSY_SECONDS", 0)
    store = open_store(str(sqlite_store.url.database))
    fill(store, ["demonstration"], prompts=2)
    demonstrate(store, someone(store, "Ada"), SECRET)
    with sqlite3.connect(tmp_path / "people.db") as reader:
        reader.execute("BEGIN").execute("SELECT count(*) FROM demonstrations").fetchall()
        erased = erase_annotator(store, "Ada")
        assert "people.db-wal still holds" in erased.remains
        assert SECRET.encode() in (tmp_path / "people.db-wal").read_bytes()
    reader.close()
    someone(store, "Bob")
    assert erase_annotator(store, "Bob").remains == ""
    for path in tmp_path.glob("people.db*"):
        assert SECRET.encode() not in path.read_bytes()
    store.close()


def _relations(store: Store) -> bytes:
    """What PostgreSQL's files hold of the tables with people's texts, those beside them included."""
    held = b""
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        for table in ("demonstrations", "drafts", "prompts", "pg_statistic"):
            whole = text(f"SELECT pg_read_binary_file(pg_relation_filepath('{table}'))")
            held += bytes(connection.scalar(whole) or b"")
    return held


def test_the_text_is_in_no_table_of_postgresql_any_more(postgres_server: str) -> None:
    from postgres import new_database

    store = open_store(new_database(postgres_server))
    fill(store, ["demonstration"], prompts=3)
    ada, bob = someone(store, "Ada"), someone(store, "Bob")
    demonstrate(store, ada, SECRET)
    demonstrate(store, bob, "what Bob has seen")
    assert SECRET.encode() in _relations(store)
    erased = erase_annotator(store, "Ada")
    left = _relations(store)
    assert SECRET.encode() not in left and b"what Bob has seen" in left
    assert "write-ahead log" in erased.remains
    store.close()


def test_a_reader_of_postgresql_is_said(postgres_server: str) -> None:
    from postgres import new_database

    store = open_store(new_database(postgres_server))
    fill(store, ["demonstration"])
    demonstrate(store, someone(store, "Ada"), SECRET)
    with store.engine.connect().execution_options(isolation_level="REPEATABLE READ") as reader:
        reader.execute(text("SELECT 1 FROM pg_class LIMIT 1"))
        assert "may still hold" in erase_annotator(store, "Ada").remains
    store.close()


def test_the_lead_and_strangers_cannot_be_erased(sqlite_store: Store) -> None:
    someone(sqlite_store, "Lea", role="lead")
    with pytest.raises(InputError, match="the lead can't"):
        erase_annotator(sqlite_store, "Lea")
    with pytest.raises(InputError, match="nobody here is named 'Eve'"):
        erase_annotator(sqlite_store, "Eve")
