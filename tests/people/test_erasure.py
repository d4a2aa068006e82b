"""A person's data goes when they ask for it: from every table and from the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from people_work import Someone, fill, someone, submission, work
from truing.people import Store
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
    assert counts["prompts"] == 2 and counts["completions"] == 6 and counts["tasks"] == 10
    with store.reading() as session:
        assert session.scalars(select(Prompt.user_key)).all() == ["user-8"]
        assert session.scalar(select(func.count()).select_from(Completion)) == 3
        assert session.scalar(select(func.count()).select_from(Task)) == 5
        assert session.scalar(select(func.count()).select_from(Assignment)) == 5
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


def test_the_lead_and_strangers_cannot_be_erased(sqlite_store: Store) -> None:
    someone(sqlite_store, "Lea", role="lead")
    with pytest.raises(InputError, match="the lead can't"):
        erase_annotator(sqlite_store, "Lea")
    with pytest.raises(InputError, match="nobody here is named 'Eve'"):
        erase_annotator(sqlite_store, "Eve")
