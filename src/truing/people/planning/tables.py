"""The tables of planning: what somebody doesn't get, and until when work is to be done.

Work is a kind of task, or a set of questions as `questions.SET`. Everybody gets everything of which no
row says otherwise.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Date, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from truing.people.tables import Base


class Withheld(Base):
    """Work that somebody doesn't get."""

    __tablename__ = "withheld_work"
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id"), primary_key=True)
    work: Mapped[str] = mapped_column(String(40), primary_key=True)


class Deadline(Base):
    """The last day on which work is done in time."""

    __tablename__ = "deadlines"
    work: Mapped[str] = mapped_column(String(40), primary_key=True)
    due: Mapped[dt.date] = mapped_column(Date)
