"""Recording what people say: append-only, once for each submission, only on their own assignments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from truing.data.messages import checked_text
from truing.people.answers import Answer, form_fields, say
from truing.people.questions.asking import checked_grades
from truing.people.questions.tables import KIND
from truing.people.store import Store
from truing.people.tables import Assignment, Draft, Judgement, Task, TaskCompletion, now
from truing.people.vocabulary import SKIP_REASONS
from truing.types import InputError

NOTE_LENGTH = 4_000


class NotYours(Exception):
    """There is no such thing, or it is another annotator's: which of the two isn't told."""


class AlreadyJudged(Exception):
    """The assignment has a judgement; it must be taken back before there can be another."""


def owned(
    session: Session, assignment_id: int, annotator_id: int, *, lock: bool = False
) -> Assignment:
    """The assignment where it is this person's. Raises NotYours.

    With `lock`, nobody else can add to it until the transaction ends. (On SQLite one writer at a time
    works anyway.)
    """
    # All that a page or a judgement needs at once: fewer queries, fewer waits under load.
    task = joinedload(Assignment.task, innerjoin=True)
    assignment = session.get(
        Assignment,
        assignment_id,
        options=[
            task.joinedload(Task.prompt, innerjoin=True),
            task.selectinload(Task.shown).joinedload(TaskCompletion.completion, innerjoin=True),
        ],
        with_for_update={"of": Assignment} if lock else None,
    )
    if assignment is None or assignment.annotator_id != annotator_id:
        raise NotYours
    return assignment


def latest(session: Session, assignment_id: int) -> Judgement | None:
    """The newest row of an assignment, a withdrawal or a skip included."""
    return session.scalar(
        select(Judgement)
        .where(Judgement.assignment_id == assignment_id)
        .order_by(Judgement.revision.desc())
        .limit(1)
    )


def new_row(
    session: Session,
    assignment: Assignment,
    kind: str,
    submission: str,
    *,
    seconds: float | None = None,
    note: str = "",
) -> Judgement:
    """The next row of an assignment, superseding the one before; not yet in the session."""
    before = latest(session, assignment.id)
    if seconds is not None:  # nobody can have spent longer on it than they had it
        held = (now() - assignment.given_at).total_seconds()
        seconds = min(max(seconds, 0.0), max(held, 0.0))
    if len(note) > NOTE_LENGTH:
        raise InputError(f"note: at most {NOTE_LENGTH:,} characters")
    if note:
        note = checked_text(note, "note")
    return Judgement(
        submission=submission,
        assignment_id=assignment.id,
        assignment=assignment,
        annotator_id=assignment.annotator_id,
        kind=kind,
        revision=before.revision + 1 if before else 1,
        supersedes_id=before.id if before else None,
        prompt_hash=assignment.task.prompt.text_hash,
        seconds=seconds,
        note=note,
        reason="",
    )


def _earlier(session: Session, submission: str, annotator_id: int) -> int | None:
    """The row of a submission that came before. Raises NotYours where it is somebody else's."""
    judgement = session.scalar(select(Judgement).where(Judgement.submission == submission))
    if judgement is None:
        return None
    if judgement.annotator_id != annotator_id:
        raise NotYours
    return judgement.id


def _once(store: Store, submission: str, annotator_id: int, add: Callable[[Session], int]) -> int:
    """`add` in one transaction, unless the submission has been recorded already."""
    if not submission.isalnum() or not 8 <= len(submission) <= 64:
        raise InputError("submission: reload the page and send it again")
    try:
        with store.writing() as session:
            earlier = _earlier(session, submission, annotator_id)
            return add(session) if earlier is None else earlier
    except (IntegrityError, AlreadyJudged):
        # The same submission, or another tab's, may have been committed a moment before.
        with store.reading() as session:
            earlier = _earlier(session, submission, annotator_id)
        if earlier is None:
            raise AlreadyJudged from None
        return earlier


def _open(session: Session, assignment_id: int, annotator_id: int) -> Assignment:
    assignment = owned(session, assignment_id, annotator_id, lock=True)
    before = latest(session, assignment_id)
    if before is not None and before.kind != "withdrawal":
        raise AlreadyJudged
    return assignment


def _finish(session: Session, judgement: Judgement) -> int:
    session.add(judgement)
    session.execute(delete(Draft).where(Draft.assignment_id == judgement.assignment_id))
    session.flush()
    return judgement.id


def record(
    store: Store,
    assignment_id: int,
    annotator_id: int,
    submission: str,
    answer: Answer,
    *,
    kind: str,
    seconds: float | None = None,
    note: str = "",
) -> int:
    """Keep a judgement and give its id. It is on the disk when this returns.

    The same submission sent again gives the same id and adds nothing. Raises NotYours,
    AlreadyJudged, and InputError where the answer isn't one that `kind` allows.
    """

    def add(session: Session) -> int:
        assignment = _open(session, assignment_id, annotator_id)
        if kind != assignment.task.kind:
            raise InputError(f"this is a {assignment.task.kind}, not a {kind}; reload the page")
        judgement = new_row(session, assignment, kind, submission, seconds=seconds, note=note)
        grades = checked_grades(session, assignment.task_id, answer.grades) if kind == KIND else {}
        with session.no_autoflush:
            say(judgement, replace(answer, grades=grades))
        return _finish(session, judgement)

    return _once(store, submission, annotator_id, add)


def skip(
    store: Store,
    assignment_id: int,
    annotator_id: int,
    submission: str,
    reason: str,
    *,
    seconds: float | None = None,
    note: str = "",
) -> int:
    """Keep that somebody passed an assignment over, and why; its place is free for another."""
    if reason not in SKIP_REASONS:
        raise InputError("reason: choose one, so that the lead knows what to mend")

    def add(session: Session) -> int:
        assignment = _open(session, assignment_id, annotator_id)
        judgement = new_row(session, assignment, "skip", submission, seconds=seconds, note=note)
        judgement.reason = reason
        assignment.slot = None
        return _finish(session, judgement)

    return _once(store, submission, annotator_id, add)


def withdraw(store: Store, judgement_id: int, annotator_id: int, submission: str) -> int:
    """Take a judgement or a skip back: a new row supersedes it, the old one stays.

    What was said becomes the draft. Gives the assignment's id. Raises NotYours, and AlreadyJudged
    where the row was superseded before.
    """

    def add(session: Session) -> int:
        judgement = session.get(Judgement, judgement_id)
        if judgement is None or judgement.annotator_id != annotator_id:
            raise NotYours
        owned(session, judgement.assignment_id, annotator_id, lock=True)
        newest = latest(session, judgement.assignment_id)
        if newest is None or newest.id != judgement_id or newest.kind == "withdrawal":
            raise AlreadyJudged
        fields = form_fields(judgement)
        row = new_row(session, judgement.assignment, "withdrawal", submission)
        session.add(row)
        session.merge(Draft(assignment_id=judgement.assignment_id, fields=fields, saved_at=now()))
        session.flush()
        return row.id

    row_id = _once(store, submission, annotator_id, add)
    with store.reading() as session:
        row = session.get(Judgement, row_id)
        if row is None:
            raise NotYours
        return row.assignment_id


def save_draft(store: Store, assignment_id: int, annotator_id: int, fields: dict[str, str]) -> None:
    """Keep what is typed so far. Raises NotYours and AlreadyJudged."""
    with store.writing() as session:
        _open(session, assignment_id, annotator_id)
        session.merge(Draft(assignment_id=assignment_id, fields=fields, saved_at=now()))
