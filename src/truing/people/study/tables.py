"""The tables of studies of oversight: who takes which place of a plan, and each step of their trials.

No row is changed; rows are deleted only in `erasure.py`. Passages and right answers aren't in the store.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from truing.people.tables import Base, Utc, now


class StudyPerson(Base):
    """That somebody takes part in a study, in one of the places that its plan has for people."""

    __tablename__ = "study_people"
    __table_args__ = (
        UniqueConstraint("study", "annotator_id"),
        # Two people who come at the same moment can't both get the last place.
        UniqueConstraint("study", "slot"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(String(64))
    """The plan's hash."""
    slot: Mapped[str] = mapped_column(String(20))
    """P1, P2, ..., as the plan calls it."""
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), index=True)
    taken_at: Mapped[dt.datetime] = mapped_column(Utc, default=now)


class StudyStep(Base):
    """What happened in a trial: it was shown, answered before the advice, a question was asked and
    replied to, answered after the advice; or that an answer came late. Each once; never changed."""

    __tablename__ = "study_steps"
    __table_args__ = (
        UniqueConstraint("person_id", "trial", "step", "number"),
        CheckConstraint("step in ('shown', 'before', 'question', 'after', 'late')", name="step"),
        CheckConstraint("confidence between 50 and 99", name="confidence"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("study_people.id"))
    trial: Mapped[str] = mapped_column(String(40))
    step: Mapped[str] = mapped_column(String(10))
    number: Mapped[int] = mapped_column(default=0)
    """Counts the questions of a trial from 0; 0 for other steps."""
    letter: Mapped[str | None] = mapped_column(String(1))
    """Of the option, as it was shown."""
    confidence: Mapped[int | None] = mapped_column()
    text: Mapped[str] = mapped_column(Text, default="")
    """What was asked."""
    reply: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What the adviser replied, a speech."""
    waited: Mapped[float] = mapped_column(default=0.0)
    """Seconds until the reply was there: the trial's clock stands still for so long."""
    at: Mapped[dt.datetime] = mapped_column(Utc)
    """By the server's clock."""
