"""The tables of training that people judge while it runs: its steps, its answers, and its tasks.

Judgements are where all judgements are. What a step learned from is a list of their ids, written before
the step learns and never changed.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from truing.people.tables import Base, Utc, now


class LiveRun(Base):
    """A training that asks people."""

    __tablename__ = "live_runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    """A hash of the run's identity and of when it was begun."""
    name: Mapped[str] = mapped_column(String(200))
    ask: Mapped[str] = mapped_column(String(20))
    wanted: Mapped[int] = mapped_column()
    least: Mapped[int] = mapped_column()
    staleness: Mapped[int] = mapped_column()
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    ended_at: Mapped[dt.datetime | None] = mapped_column(Utc)


class LiveStep(Base):
    """A step of a training: the batch that it posted, and what it learned from."""

    __tablename__ = "live_steps"
    __table_args__ = (UniqueConstraint("run_id", "step"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("live_runs.id"))
    step: Mapped[int] = mapped_column()
    batch_hash: Mapped[str] = mapped_column(String(64))
    """Of the tokens of all answers, so that a step that is done again is known to be the same."""
    posted_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)
    learned: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Ids of the judgements it learned from, and what was counted beside; None until it decided."""
    marks: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """Of each of these judgements a hash that no other has: SQLite gives the ids of erased ones anew."""
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The step's part of the run's curve."""


class LiveAnswer(Base):
    """An answer of a batch, as the policy drew it."""

    __tablename__ = "live_answers"
    __table_args__ = (UniqueConstraint("step_id", "place"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    step_id: Mapped[int] = mapped_column(ForeignKey("live_steps.id"))
    place: Mapped[int] = mapped_column()
    number: Mapped[int] = mapped_column()
    """Which of the step's prompts it answers, from 0."""
    completion_id: Mapped[int] = mapped_column(ForeignKey("completions.id"), index=True)
    text: Mapped[str] = mapped_column(Text)
    finished: Mapped[bool] = mapped_column()
    tokens: Mapped[list[int]] = mapped_column(JSON)
    log_probs: Mapped[list[float]] = mapped_column(JSON)
    """Of the tokens (nats), under the policy that drew them."""
    reference_log_probs: Mapped[list[float]] = mapped_column(JSON)


class LiveTask(Base):
    """That a task is a training's: of which step and prompt, how urgent, until when."""

    __tablename__ = "live_tasks"
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    step_id: Mapped[int] = mapped_column(ForeignKey("live_steps.id"), index=True)
    number: Mapped[int] = mapped_column()
    priority: Mapped[int] = mapped_column()
    """Above 0: given to people before the store's other tasks; else behind them."""
    deadline: Mapped[dt.datetime | None] = mapped_column(Utc)
    """From then on it is given to people last: it teaches the reward model alone, or comes very late."""
