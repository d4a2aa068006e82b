"""Deleting a person's data on request: an annotator's, or that of a user who wrote prompts.

Rows are deleted, not marked. Then the text goes from the files: SQLite overwrites what is deleted
(`secure_delete`) and its write-ahead log is emptied; PostgreSQL's tables are written anew. Where that can't
be done, it is said. What stays is that something was deleted, when and how many rows. Backups and files
that were exported before are out of reach.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from truing.people.content import parted
from truing.people.live.tables import LiveAnswer, LiveTask
from truing.people.planning.tables import Withheld
from truing.people.questions.tables import SetTask
from truing.people.store import BUSY_SECONDS, Store, trouble
from truing.people.study.tables import StudyPerson, StudyStep
from truing.people.tables import (
    Annotation,
    Annotator,
    AnnotatorGroup,
    Asking,
    Assignment,
    Base,
    Comparison,
    Completion,
    Demonstration,
    Draft,
    Erasure,
    Flag,
    Gold,
    Judgement,
    Prompt,
    Ranking,
    Rating,
    SignIn,
    Task,
    TaskCompletion,
)
from truing.types import InputError

_SAID = (Demonstration, Rating, Comparison, Ranking, Flag, Annotation)


class _Eraser:
    """Deletes rows by id and counts them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.counts: dict[str, int] = {}

    def delete(self, table: type[Base], column: str, ids: Sequence[int]) -> None:
        for part in parted(ids):
            done = self.session.execute(delete(table).where(getattr(table, column).in_(part)))
            count = int(getattr(done, "rowcount", 0))
            if count:
                name = table.__tablename__
                self.counts[name] = self.counts.get(name, 0) + count

    def ids(self, table: type[Base], column: str, ids: Sequence[int]) -> list[int]:
        found: list[int] = []
        for part in parted(ids):
            wanted = getattr(table, column).in_(part)
            found += self.session.scalars(select(table.id).where(wanted))  # type: ignore[attr-defined]
        return found

    def assignments(self, ids: Sequence[int]) -> None:
        """Assignments with all that was said on them."""
        judgements = self.ids(Judgement, "assignment_id", ids)
        for table in _SAID:
            self.delete(table, "judgement_id", judgements)
        self.delete(Gold, "judgement_id", judgements)
        # The newest first: each row names the one that it supersedes.
        for judgement in sorted(judgements, reverse=True):
            self.delete(Judgement, "id", [judgement])
        self.delete(Draft, "assignment_id", ids)
        self.delete(Assignment, "id", ids)


def _finish(eraser: _Eraser) -> dict[str, int]:
    eraser.session.add(Erasure(rows=eraser.counts))
    return eraser.counts


class Erased(dict[str, int]):
    """Rows that were deleted, by table; `remains` says where the text may still be, empty for nowhere."""

    remains: str = ""


def _scrubbed(store: Store, counts: dict[str, int]) -> Erased:
    """Take what was deleted out of the database's files."""
    erased = Erased(counts)
    scrub = _empty_log if store.engine.dialect.name == "sqlite" else _write_anew
    erased.remains = scrub(store)
    return erased


def _empty_log(store: Store) -> str:
    """Move all into SQLite's main file, so that the log keeps no copy of what was deleted."""
    connection = store.engine.raw_connection()
    try:
        busy = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.close()
    if not busy:
        return ""
    return (
        f"the log {store.url.database}-wal still holds what was deleted, for somebody is reading the "
        "store: close what uses it, then open and close the store, or erase again"
    )


_LATER = "have the owner of its tables run VACUUM (FULL, ANALYZE)"


def _write_anew(store: Store) -> str:
    """Write PostgreSQL's tables anew: a plain VACUUM would free the place of the text, not overwrite it."""
    tables = ", ".join(Base.metadata.tables)
    readers = text(
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database() AND backend_xmin IS NOT NULL"
    )
    try:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"SET lock_timeout = '{BUSY_SECONDS}s'"))
            busy = connection.scalar(readers) or 0
            connection.execute(text(f"VACUUM (FULL, ANALYZE) {tables}"))
            connection.execute(text("RESET lock_timeout"))
    except DBAPIError as error:
        return f"PostgreSQL's files still hold what was deleted ({trouble(error)}): {_LATER}"
    if busy:
        return (
            f"PostgreSQL's files may still hold what was deleted, for others were reading: {_LATER}"
        )
    return (
        "PostgreSQL's tables are written anew; its write-ahead log holds what was deleted until it is "
        "reused, and replicas and archives of it longer"
    )


def erase_annotator(store: Store, name: str) -> Erased:
    """Delete an annotator with all they said, were given and typed; rows deleted, by table.

    Raises InputError for an unknown name, and for the lead's, without whom the store can't be used.
    """
    with store.writing() as session:
        person = session.scalar(select(Annotator).where(Annotator.name == name))
        if person is None:
            raise InputError(f"--annotator: nobody here is named {name!r}")
        if person.role == "lead":
            raise InputError("--annotator: the lead can't be deleted; delete the store instead")
        eraser = _Eraser(session)
        eraser.assignments(eraser.ids(Assignment, "annotator_id", [person.id]))
        eraser.delete(StudyStep, "person_id", eraser.ids(StudyPerson, "annotator_id", [person.id]))
        eraser.delete(StudyPerson, "annotator_id", [person.id])
        eraser.delete(AnnotatorGroup, "annotator_id", [person.id])
        eraser.delete(SignIn, "annotator_id", [person.id])
        eraser.delete(Withheld, "annotator_id", [person.id])
        eraser.delete(Annotator, "id", [person.id])
        counts = _finish(eraser)
    return _scrubbed(store, counts)


def _passed_on(session: Session, prompt: Prompt) -> bool:
    """Whether somebody else asked the prompt, whose it is from now on."""
    other = session.scalar(
        select(Asking).where(Asking.prompt_id == prompt.id).order_by(Asking.id).limit(1)
    )
    if other is not None:
        prompt.user_key = other.user_key or None
    return other is not None


def erase_user(store: Store, user_key: str) -> Erased:
    """Delete what a user asked and judged, with all that hangs on it; rows deleted, by table.

    A prompt that another user of the pilot asked as well becomes theirs. Raises InputError where no
    prompt has this key.
    """
    with store.writing() as session:
        eraser = _Eraser(session)
        asked = list(session.scalars(select(Asking.id).where(Asking.user_key == user_key)))
        eraser.delete(Asking, "id", asked)
        judge = select(Annotator.id).where(
            Annotator.name == f"pilot/{user_key}", Annotator.role == "source"
        )
        judges = list(session.scalars(judge))
        eraser.assignments(eraser.ids(Assignment, "annotator_id", judges))
        eraser.delete(Annotator, "id", judges)
        owned = session.scalars(select(Prompt).where(Prompt.user_key == user_key)).all()
        if not owned and not asked:
            raise InputError(f"--user: no prompt has the key {user_key!r}")
        prompts = [prompt.id for prompt in owned if not _passed_on(session, prompt)]
        tasks = eraser.ids(Task, "prompt_id", prompts)
        eraser.assignments(eraser.ids(Assignment, "task_id", tasks))
        eraser.delete(TaskCompletion, "task_id", tasks)
        eraser.delete(LiveTask, "task_id", tasks)
        eraser.delete(SetTask, "task_id", tasks)
        eraser.delete(Task, "id", tasks)
        answers = eraser.ids(Completion, "prompt_id", prompts)
        eraser.delete(LiveAnswer, "completion_id", answers)
        eraser.delete(Completion, "prompt_id", prompts)
        eraser.delete(Prompt, "id", prompts)
        counts = _finish(eraser)
    return _scrubbed(store, counts)
