"""What is left of each work, for whom, and whether it will be done in time."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Subquery, func, select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current, is_open, places_taken
from truing.people.planning.tables import Deadline, Withheld
from truing.people.planning.withholding import work_of_task
from truing.people.questions.tables import KIND
from truing.people.tables import Annotator, Assignment, Draft, Judgement, SignIn, Task, now
from truing.people.vocabulary import KIND_NAMES, KINDS
from truing.types import InputError

_WORK = "work_name"
"""The label to group by: PostgreSQL takes an expression with parameters, twice, for two."""
Counts = Mapping[tuple[int, str], int]
"""By annotator and work."""


@dataclass(frozen=True)
class Work:
    """A kind of task or a set of questions: places filled, places in all, and the last day for them."""

    name: str
    done: int
    total: int
    last_day: int
    """Judged in the last 24 hours."""
    due: dt.date | None
    today: dt.date

    @property
    def left(self) -> int:
        """Places that nobody has filled."""
        return self.total - self.done

    @property
    def a_day(self) -> int | None:
        """Judgements a day that it takes from today, the last day included; None where no day is set."""
        if self.due is None:
            return None
        return math.ceil(self.left / max((self.due - self.today).days + 1, 1))

    @property
    def is_late(self) -> bool:
        """Whether the last day is over and something is left."""
        return self.due is not None and self.due < self.today and self.left > 0


@dataclass(frozen=True)
class Share:
    """One person's part of a work."""

    gets: bool
    done: int
    left: int
    """What they could still be given, with what is in their hands."""


@dataclass(frozen=True)
class Worker:
    """A person with their part of each work, in the order of the works."""

    annotator: Annotator
    shares: tuple[Share, ...]
    last_seen: dt.datetime | None


@dataclass(frozen=True)
class Plan:
    """All work and everybody who can sign in."""

    works: tuple[Work, ...]
    workers: tuple[Worker, ...]


def plan(session: Session) -> Plan:
    """As the store is now."""
    listed = works(session)
    names = [work.name for work in listed]
    people = session.scalars(
        select(Annotator)
        .where(Annotator.role != "source", Annotator.token_hash.is_not(None))
        .order_by(Annotator.id)
    ).all()
    seen = _last_seen(session)
    parts = _shares(session, [person.id for person in people], names)
    workers = (Worker(each, parts[each.id], seen.get(each.id)) for each in people)
    return Plan(listed, tuple(workers))


def _by_work(session: Session, query: Select[*tuple[Any, ...]]) -> dict[str, int]:
    return {work: int(count) for work, count in session.execute(query.group_by(_WORK))}


def _judged(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Of judgements that stand, joined with their tasks."""
    return (
        select(*columns)
        .select_from(Judgement)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(Task, Task.id == Assignment.task_id)
        .where(is_current(), Judgement.kind != "skip")
    )


def works(session: Session) -> tuple[Work, ...]:
    """All work that people were asked to do. What is nearest its last day is first."""
    work = work_of_task().label(_WORK)
    total = _by_work(session, select(work, func.sum(Task.wanted)).where(Task.wanted > 0))
    filled = _judged(work, func.count()).where(Assignment.slot.is_not(None))
    done = _by_work(session, filled)
    day_ago = now() - dt.timedelta(hours=24)
    last_day = _by_work(session, filled.where(Judgement.created_at > day_ago))
    due = dict(session.execute(select(Deadline.work, Deadline.due)).all())
    today = now().date()
    found = [
        Work(name, done.get(name, 0), wanted, last_day.get(name, 0), due.get(name), today)
        for name, wanted in total.items()
    ]
    return tuple(sorted(found, key=lambda each: (each.due or dt.date.max, *_place(each.name))))


def _place(name: str) -> tuple[int, str]:
    kinds: list[str] = list(KINDS)
    return kinds.index(name.partition(".")[0]), name


def _free() -> Subquery:
    """Tasks that have a place left, with their work."""
    free = select(Task.id, work_of_task().label("work")).where(places_taken() < Task.wanted)
    return free.subquery()


def _shares(
    session: Session, people: Iterable[int], names: list[str]
) -> dict[int, tuple[Share, ...]]:
    work = work_of_task().label(_WORK)
    done = _counts(
        session, _judged(Judgement.annotator_id, work, func.count()), Judgement.annotator_id, _WORK
    )
    in_hand = (
        select(Assignment.annotator_id, work, func.count())
        .select_from(Assignment)
        .join(Task, Task.id == Assignment.task_id)
    )
    begun = _counts(session, in_hand.where(is_open()), Assignment.annotator_id, _WORK)
    free = _free()
    places = select(free.c.work, func.count()).group_by(free.c.work)
    offered: dict[str, int] = dict(session.execute(places).all())
    had = _counts(
        session,
        select(Assignment.annotator_id, free.c.work, func.count())
        .select_from(Assignment)
        .join(free, free.c.id == Assignment.task_id),
        Assignment.annotator_id,
        free.c.work,
    )
    without: dict[int, set[str]] = defaultdict(set)
    for person, name in session.execute(select(Withheld.annotator_id, Withheld.work)):
        without[person].add(name)

    def share(person: int, name: str) -> Share:
        key, gets = (person, name), name not in without[person]
        left = offered.get(name, 0) - had.get(key, 0) + begun.get(key, 0)
        return Share(gets, done.get(key, 0), left if gets else 0)

    return {person: tuple(share(person, name) for name in names) for person in people}


def _counts(session: Session, query: Select[*tuple[Any, ...]], *by: Any) -> Counts:
    return {(person, work): count for person, work, count in session.execute(query.group_by(*by))}


def _last_seen(session: Session) -> dict[int, dt.datetime]:
    """When each person last signed in, was given something, kept a draft, or judged."""
    drafted = (
        select(Assignment.annotator_id, func.max(Draft.saved_at))
        .select_from(Assignment)
        .join(Draft, Draft.assignment_id == Assignment.id)
    )
    seen: dict[int, dt.datetime] = {}
    for query, person in (
        (select(SignIn.annotator_id, func.max(SignIn.created_at)), SignIn.annotator_id),
        (
            select(Assignment.annotator_id, func.max(Assignment.given_at)),
            Assignment.annotator_id,
        ),
        (drafted, Assignment.annotator_id),
        (
            select(Judgement.annotator_id, func.max(Judgement.created_at)),
            Judgement.annotator_id,
        ),
    ):
        for who, at in session.execute(query.group_by(person)):
            seen[who] = max(at, seen.get(who, at))
    return seen


def set_deadline(session: Session, work: str, due: str) -> None:
    """The last day of a work, as YYYY-MM-DD; an empty one takes it away. Raises InputError."""
    known = [each.name for each in works(session)]
    if work not in known:
        raise InputError(f"work: there is none named {work!r}; reload the page")
    before = session.get(Deadline, work)
    if not due:
        if before is not None:
            session.delete(before)
        return
    try:
        day = dt.date.fromisoformat(due)
    except ValueError:
        raise InputError("last day: give a date as YYYY-MM-DD, or leave it empty") from None
    session.merge(Deadline(work=work, due=day))


def work_name(work: str) -> str:
    """What a work is called on a page: its kind's name, or that of the set."""
    kind, _, of_set = work.partition(".")
    return f"Questions: {of_set}" if kind == KIND and of_set else KIND_NAMES[kind]
