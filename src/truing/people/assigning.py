"""Who gets what next: random but seeded, never twice to the same person, never to too many."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from truing.people.live.tables import LiveStep, LiveTask
from truing.people.planning.withholding import is_for, work_of_task
from truing.people.store import Store
from truing.people.tables import Assignment, Gold, Judgement, Task, now
from truing.types import stable_hash

GOLD_EVERY = 8
"""Of so many tasks one is a gold question, while there are any."""
LEASE = dt.timedelta(hours=24)
"""After this long an unfinished task may be given to somebody else too."""
_TRIES = 20


class _PlaceTaken(Exception):
    """On PostgreSQL, somebody took the last place between two of our looks."""


def is_current() -> ColumnElement[bool]:
    """Of judgements: said, and neither superseded nor withdrawn. A skip is current too."""
    later = aliased(Judgement)
    superseded = select(later.id).where(later.supersedes_id == Judgement.id).exists()
    return and_(Judgement.kind != "withdrawal", ~superseded)


def is_open() -> ColumnElement[bool]:
    """Of assignments: not judged, not skipped, or taken back."""
    answered = select(Judgement.id).where(Judgement.assignment_id == Assignment.id, is_current())
    return ~answered.exists()


def _not_seen_by(annotator_id: int) -> ColumnElement[bool]:
    mine = select(Assignment.id).where(
        Assignment.task_id == Task.id, Assignment.annotator_id == annotator_id
    )
    return ~mine.exists()


def places_taken() -> ColumnElement[int]:
    """How many places of a task are taken."""
    return (
        select(func.count(Assignment.slot))
        .where(Assignment.task_id == Task.id)
        .correlate(Task)
        .scalar_subquery()
    )


REFUSAL = "refusal"
"""The candidate of an option by which people decline to give an opinion."""


def option_order(candidates: Sequence[str], sort_key: str, annotator_id: int) -> list[int]:
    """Positions of a question's options: as they stand or turned around, as this person's toss says, so
    that a scale stays one. Refusals are last."""
    turned = int(stable_hash("option order", sort_key, str(annotator_id))[:8], 16) % 2
    options = [place for place, each in enumerate(candidates) if each != REFUSAL]
    refusals = [place for place, each in enumerate(candidates) if each == REFUSAL]
    return (options[::-1] if turned else options) + refusals


def _order(task: Task, annotator_id: int) -> list[int]:
    if task.kind == "opinion":
        candidates = [each.completion.candidate or "" for each in task.shown]
        return option_order(candidates, task.sort_key, annotator_id)
    return display_order(task.sort_key, len(task.shown), annotator_id)


def display_order(sort_key: str, completions: int, annotator_id: int) -> list[int]:
    """Positions of a task's completions, shuffled for this person by the task's random key."""
    order = list(range(completions))
    if completions > 1:
        random.Random(stable_hash("display order", sort_key, str(annotator_id))).shuffle(order)
    return order


def _gold(session: Session, annotator_id: int) -> Task | None:
    """A gold question, where it is time for one."""
    had = session.scalar(select(func.count()).where(Assignment.annotator_id == annotator_id))
    if (had or 0) % GOLD_EVERY != GOLD_EVERY // 2:
        return None
    return session.scalar(
        select(Task)
        .join(Gold, Gold.task_id == Task.id)
        .where(_not_seen_by(annotator_id), *is_for(session, annotator_id))
        .order_by(Task.sort_key)
        .limit(1)
    )


def _ordinary(session: Session, annotator_id: int) -> Task | None:
    """A task with a free place: one that a training waits for, else one of the store's, else any."""
    return (
        _live(session, annotator_id, waited_for=True)
        or _lasting(session, annotator_id)
        or _live(session, annotator_id, waited_for=False)
    )


def _lasting(session: Session, annotator_id: int) -> Task | None:
    """A task of no training. Everybody begins somewhere else on the ring of random keys."""
    start = stable_hash("start", str(annotator_id))[:16]
    of_training = select(LiveTask.task_id).where(LiveTask.task_id == Task.id)
    free = (
        select(Task)
        .where(_not_seen_by(annotator_id), places_taken() < Task.wanted, ~of_training.exists())
        .where(*is_for(session, annotator_id))
        .order_by(Task.sort_key)
        .limit(1)
    )
    return session.scalar(free.where(Task.sort_key >= start)) or session.scalar(
        free.where(Task.sort_key < start)
    )


def _live(session: Session, annotator_id: int, *, waited_for: bool) -> Task | None:
    """A training's task: the most urgent, of those the newest batch's, which is the least late."""
    in_time = or_(LiveTask.deadline.is_(None), LiveTask.deadline > now())
    free = (
        select(Task)
        .join(LiveTask, LiveTask.task_id == Task.id)
        .join(LiveStep, LiveStep.id == LiveTask.step_id)
        .where(_not_seen_by(annotator_id), places_taken() < Task.wanted)
        .where(*is_for(session, annotator_id))
        .order_by(LiveTask.priority.desc(), LiveStep.step.desc(), Task.sort_key)
        .limit(1)
    )
    return session.scalar(free.where(LiveTask.priority > 0, in_time) if waited_for else free)


def _release_expired(session: Session) -> bool:
    """Free the places of tasks that were opened long ago and left. Whether there were any."""
    left = session.scalars(
        select(Assignment).where(
            Assignment.slot.is_not(None), Assignment.given_at < now() - LEASE, is_open()
        )
    ).all()
    for assignment in left:
        assignment.slot = None
    session.flush()
    return bool(left)


def _free_slot(session: Session, task: Task) -> int | None:
    taken = set(
        session.scalars(
            select(Assignment.slot).where(
                Assignment.task_id == task.id, Assignment.slot.is_not(None)
            )
        )
    )
    return next((slot for slot in range(task.wanted) if slot not in taken), None)


def open_assignment(session: Session, annotator_id: int) -> Assignment | None:
    """The unfinished task in this person's hands, the oldest first."""
    return session.scalar(
        select(Assignment)
        .join(Task, Task.id == Assignment.task_id)
        .where(Assignment.annotator_id == annotator_id, is_open())
        .where(*is_for(session, annotator_id))
        .order_by(Assignment.given_at, Assignment.id)
        .limit(1)
    )


def _give(session: Session, annotator_id: int) -> int | None:
    found = open_assignment(session, annotator_id)
    if found:
        return found.id
    task = _gold(session, annotator_id)
    slot = None
    if task is None:
        task = _ordinary(session, annotator_id)
        if task is None and _release_expired(session):
            task = _ordinary(session, annotator_id)
        if task is None:
            return None
        slot = _free_slot(session, task)
        if slot is None:
            raise _PlaceTaken
    assignment = Assignment(
        task_id=task.id,
        annotator_id=annotator_id,
        slot=slot,
        order=_order(task, annotator_id),
    )
    session.add(assignment)
    session.flush()
    return assignment.id


def has_work(session: Session, annotator_id: int) -> bool:
    """Whether there is something for this person, as far as a look without a change can tell.

    What others opened and left becomes free only when somebody asks for work.
    """
    return bool(
        open_assignment(session, annotator_id)
        or _gold(session, annotator_id)
        or _ordinary(session, annotator_id)
    )


def release_open(session: Session, annotator_id: int, work: Collection[str] | None = None) -> None:
    """Free the places of what this person has begun and not finished, for others; or of this work."""
    begun = (
        select(Assignment)
        .join(Task, Task.id == Assignment.task_id)
        .where(Assignment.annotator_id == annotator_id, Assignment.slot.is_not(None), is_open())
    )
    if work is not None:
        begun = begun.where(work_of_task().in_(sorted(work)))
    for assignment in session.scalars(begun):
        assignment.slot = None


def next_assignment(store: Store, annotator_id: int) -> int | None:
    """The id of what this person should do now: what they have begun, or something new.

    None where nothing is left for them.
    """
    with store.reading() as session:  # most often there is one, and no writer need wait
        found = open_assignment(session, annotator_id)
        if found:
            return found.id
    for _ in range(_TRIES):
        try:
            with store.writing() as session:
                return _give(session, annotator_id)
        except (IntegrityError, _PlaceTaken):
            continue
    return None


@dataclass(frozen=True)
class Progress:
    """How far the team is: places filled with a judgement, and places in all."""

    done: int
    total: int


def team_progress(session: Session) -> Progress:
    """Judged and wanted places over all tasks."""
    total = session.scalar(select(func.coalesce(func.sum(Task.wanted), 0))) or 0
    done = session.scalar(
        select(func.count(Judgement.id))
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(is_current(), Judgement.kind != "skip", Assignment.slot.is_not(None))
    )
    return Progress(done or 0, total)
