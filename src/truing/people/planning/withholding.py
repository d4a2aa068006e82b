"""Who gets which work: everybody everything, but for what the lead withholds."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from truing.people.planning.tables import Withheld
from truing.people.questions.tables import KIND, SetTask, StoredSet
from truing.people.tables import Task


def work_of_task() -> ColumnElement[str]:
    """The work that a task belongs to, for a query about tasks: its kind, or `questions.SET`."""
    asked = (
        select(StoredSet.name)
        .join(SetTask, SetTask.set_id == StoredSet.id)
        .where(SetTask.task_id == Task.id)
        .correlate(Task)
        .scalar_subquery()
    )
    return func.coalesce(f"{KIND}." + asked, Task.kind)


def withheld(session: Session, annotator_id: int) -> set[str]:
    """The work that somebody doesn't get."""
    rows = select(Withheld.work).where(Withheld.annotator_id == annotator_id)
    return set(session.scalars(rows))


def is_for(session: Session, annotator_id: int) -> list[ColumnElement[bool]]:
    """Of tasks: those that somebody gets. No condition at all where that is everything."""
    without = withheld(session, annotator_id)
    return [work_of_task().not_in(sorted(without))] if without else []


def withhold(session: Session, annotator_id: int, work: Collection[str]) -> None:
    """From now on somebody gets everything but this."""
    session.execute(delete(Withheld).where(Withheld.annotator_id == annotator_id))
    for each in sorted(set(work)):
        session.add(Withheld(annotator_id=annotator_id, work=each))
    session.flush()
