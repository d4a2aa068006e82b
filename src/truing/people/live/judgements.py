"""Judgements of a training's tasks, as they are in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from truing.people.live.batches import Group
from truing.people.live.tables import LiveStep, LiveTask
from truing.people.tables import Assignment, Comparison, Judgement, Ranking, Rating
from truing.types import stable_hash


class LiveJudgement(NamedTuple):
    """A judgement of a batch. What was said is by completion: a rating, ranks, or who was preferred."""

    id: int
    task: int
    group: Group
    rating: dict[int, int]
    ranks: dict[int, int]
    first: int
    second: int
    preferred: str


def judged_tasks(session: Session, run: int, *conditions: Any) -> Sequence[Row[*tuple[Any, ...]]]:
    """Judgements of a training's tasks (skips and withdrawals aside), the oldest first."""
    return session.execute(
        select(
            Judgement.id,
            Judgement.kind,
            Judgement.assignment_id,
            Judgement.submission,
            LiveTask.task_id,
            LiveStep.step,
            LiveTask.number,
        )
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(LiveTask, LiveTask.task_id == Assignment.task_id)
        .join(LiveStep, LiveStep.id == LiveTask.step_id)
        .where(
            LiveStep.run_id == run,
            Judgement.kind.in_(("comparison", "rating", "ranking")),
            *conditions,
        )
        .order_by(Judgement.id)
    ).all()


def mark(submission: str) -> str:
    """What tells a judgement from a later one that was given its id, once it was erased."""
    return stable_hash("judgement", submission)[:16]


def what_was_said(session: Session, row: Row[*tuple[Any, ...]]) -> LiveJudgement:
    """A row of `judged_tasks` with what it says."""
    compared = session.get(Comparison, row.id)
    rated = session.get(Rating, row.id)
    ranked = session.scalars(select(Ranking).where(Ranking.judgement_id == row.id))
    return LiveJudgement(
        row.id,
        row.task_id,
        (row.step, row.number),
        {rated.completion_id: rated.value} if rated else {},
        {each.completion_id: each.rank for each in ranked},
        compared.first_id if compared else 0,
        compared.second_id if compared else 0,
        compared.preferred if compared else "",
    )
