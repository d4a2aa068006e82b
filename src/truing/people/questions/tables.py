"""The tables of question sets: what is asked, and which tasks ask it.

What people answer stands where all that they say stands: a flag for each question.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from truing.people.tables import Base, Utc, now

KIND = "questions"
"""The kind of a task that asks them, and of a judgement that answers them."""


class StoredSet(Base):
    """A set of questions. Its name stands for these questions for good."""

    __tablename__ = "question_sets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)
    questions: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    created_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class SetTask(Base):
    """A task that asks the questions of a set."""

    __tablename__ = "question_tasks"
    task_id: Mapped[int] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    set_id: Mapped[int] = mapped_column(ForeignKey("question_sets.id"), index=True)
