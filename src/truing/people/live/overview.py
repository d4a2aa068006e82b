"""What the lead sees of trainings that ask people: their queues and their curves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current
from truing.people.live.tables import LiveRun, LiveStep, LiveTask
from truing.people.tables import Assignment, Judgement, Task, now

MOST_RUNS = 5
"""The latest trainings on the page."""
WIDTH, HEIGHT = 480, 96
"""Of a curve."""


@dataclass(frozen=True)
class Curve:
    """The reward of each step that has one: `path` for a drawing, with its lowest and highest value."""

    path: str
    low: float
    high: float
    last: float
    steps: int


@dataclass(frozen=True)
class LiveProgress:
    """One training: how far it is, what waits for people, and what became of what they said."""

    name: str
    step: int
    is_over: bool
    judged: int
    wanted: int
    """Places of its tasks that are filled, and all, of those it still waits for."""
    deadline: dt.datetime | None
    """When the next batch's time is over."""
    learned_from: int
    late_steps: float | None
    """Of the last step: mean steps between an answer and its judgement."""
    stale: int
    changed: int
    by_model: int
    """Steps that people gave nothing for, which followed the reward model."""
    curve: Curve | None


def live_version(session: Session) -> tuple[Any, ...]:
    """Changes whenever a training has done something."""
    steps = session.execute(select(func.count(LiveStep.id), func.count(LiveStep.figures))).one()
    runs = session.execute(select(func.count(LiveRun.id), func.count(LiveRun.ended_at))).one()
    return (*steps, *runs)


def live_progress(session: Session) -> list[LiveProgress]:
    """The latest trainings, the newest first."""
    runs = session.scalars(select(LiveRun).order_by(LiveRun.id.desc()).limit(MOST_RUNS))
    return [_progress(session, run) for run in runs]


def _progress(session: Session, run: LiveRun) -> LiveProgress:
    rows = session.execute(
        select(LiveStep.step, LiveStep.figures)
        .where(LiveStep.run_id == run.id)
        .order_by(LiveStep.step)
    ).all()
    figures = [{**given, "step": step} for step, given in rows if given]
    last = figures[-1] if figures else {}
    in_time = or_(LiveTask.deadline.is_(None), LiveTask.deadline > now())
    waited_for = (
        select(LiveTask.task_id)
        .join(LiveStep, LiveStep.id == LiveTask.step_id)
        .where(LiveStep.run_id == run.id, in_time)
    )
    return LiveProgress(
        name=run.name,
        step=max((step for step, _ in rows), default=0),
        is_over=run.ended_at is not None,
        judged=_judged(session, waited_for),
        wanted=session.scalar(select(func.sum(Task.wanted)).where(Task.id.in_(waited_for))) or 0,
        deadline=session.scalar(
            select(func.min(LiveTask.deadline)).where(LiveTask.task_id.in_(waited_for))
        ),
        learned_from=sum(each["judgements"] for each in figures),
        late_steps=last.get("late_steps"),
        stale=last.get("stale", 0),
        changed=last.get("changed", 0),
        by_model=sum(each["by"] == "model" for each in figures),
        curve=_curve([(each["step"], each["reward"]) for each in figures if "reward" in each]),
    )


def _judged(session: Session, tasks: Any) -> int:
    """Places of tasks that are filled with a judgement."""
    filled = (
        select(func.count(Judgement.id))
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .where(
            Assignment.task_id.in_(tasks),
            Assignment.slot.is_not(None),
            is_current(),
            Judgement.kind != "skip",
        )
    )
    return session.scalar(filled) or 0


def _curve(points: Sequence[tuple[int, float]]) -> Curve | None:
    """A drawing's points; None for fewer than two."""
    if len(points) < 2:
        return None
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    across, up = (steps[-1] - steps[0]) or 1, (high - low) or 1.0
    placed = [
        f"{WIDTH * (step - steps[0]) / across:.1f},{HEIGHT * (1 - (value - low) / up):.1f}"
        for step, value in points
    ]
    return Curve(" ".join(placed), low, high, values[-1], len(points))
