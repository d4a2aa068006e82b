"""What people say now, read from the store as values that can be compared, and kept up to date.

Judgements are append-only, so a look at the store reads only what is new since the last; an erasure,
the one thing that takes rows away, has everything read anew.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.people.tables import (
    Annotation,
    Annotator,
    Assignment,
    Comparison,
    Erasure,
    Flag,
    Judgement,
    Ranking,
    Rating,
)
from truing.people.vocabulary import FLAGS, METADATA
from truing.statistics.agreement import Column, Scale, Value

QUESTIONS: dict[str, tuple[str, Scale]] = {
    "rating": ("Rating, 1 to 7", "ordinal"),
    **{name: (text, "nominal") for name, text in FLAGS.items()},
    "comparison": ("Comparison of two", "ordinal"),
    "ranking": ("Ranking", "ordinal"),
    "use_case": ("Use case", "nominal"),
    **{name: (text, "nominal") for name, text in METADATA.items()},
    "outcome": ("What an answer did", "nominal"),
    "opinion": ("Opinion", "nominal"),
}
"""Question types: what they are called, and how far apart two values are.

A comparison is ordinal: one answer better, equally good, the other better. A flag that somebody is
unsure about, or leaves open, is no value.
"""

UNIT_BITS = 32
"""A unit is its task's number, shifted by so much, and the number of the completion it is about."""


class Told(NamedTuple):
    """One value of a judgement: question type, the completion it is about (or 0), the value.

    It means the same whatever order the completions were shown in.
    """

    question: str
    completion: int
    value: Value


@dataclass(frozen=True, slots=True)
class Said:
    """A judgement that holds."""

    id: int
    annotator: int
    task: int
    kind: str
    at: dt.datetime
    seconds: float | None
    told: tuple[Told, ...]

    def value(self, question: str) -> Value | None:
        """What was said to a question that is asked once in a task."""
        return next((each.value for each in self.told if each.question == question), None)

    def ranks(self) -> dict[int, int]:
        """Ranks by completion."""
        return {t.completion: int(t.value) for t in self.told if t.question == "ranking"}


def _told(session: Session, after: int) -> dict[int, list[Told]]:
    """What was said in the judgements after one, by judgement."""
    by_judgement: dict[int, list[Told]] = defaultdict(list)
    for id_, value in session.execute(
        select(Rating.judgement_id, Rating.value).where(Rating.judgement_id > after)
    ):
        by_judgement[id_].append(Told("rating", 0, value))
    for id_, first, second, preferred in session.execute(
        select(
            Comparison.judgement_id,
            Comparison.first_id,
            Comparison.second_id,
            Comparison.preferred,
        ).where(Comparison.judgement_id > after)
    ):
        better = {"first": 0, "tie": 1, "second": 2}[preferred]
        by_judgement[id_].append(Told("comparison", 0, better if first < second else 2 - better))
    for id_, completion, rank in session.execute(
        select(Ranking.judgement_id, Ranking.completion_id, Ranking.rank)
        .where(Ranking.judgement_id > after)
        .order_by(Ranking.judgement_id, Ranking.completion_id)
    ):
        by_judgement[id_].append(Told("ranking", completion, rank))
    for id_, use_case in session.execute(
        select(Annotation.judgement_id, Annotation.use_case).where(Annotation.judgement_id > after)
    ):
        by_judgement[id_].append(Told("use_case", 0, use_case))
    for id_, name, flag in session.execute(
        select(Flag.judgement_id, Flag.name, Flag.value)
        .where(Flag.judgement_id > after, Flag.value != "unsure")
        .order_by(Flag.judgement_id, Flag.name)
    ):
        # A grade of a question of the team's own is a number: see `truing.people.questions`.
        by_judgement[id_].append(Told(name, 0, int(flag) if "." in name else flag))
    return by_judgement


class _Growing:
    """The column of one question, to which rows are added."""

    def __init__(self) -> None:
        self._rows: NDArray[np.int64] = np.empty((0, 5), np.int64)
        self._codes: dict[Value, int] = {}

    def change(self, new: Sequence[tuple[Said, Told]], gone: Sequence[int]) -> None:
        """Leave out what was said in the judgements `gone`, and add what is new."""
        rows = [
            (
                judgement.id,
                judgement.task,
                judgement.task << UNIT_BITS | observed.completion,
                judgement.annotator,
                self._codes.setdefault(observed.value, len(self._codes)),
            )
            for judgement, observed in new
        ]
        left = self._rows[~np.isin(self._rows[:, 0], gone)] if gone else self._rows
        self._rows = np.concatenate([left, np.array(rows, np.int64).reshape(-1, 5)])

    def column(self) -> Column:
        """As it is now."""
        _, tasks, units, annotators, codes = self._rows.T
        return Column(tasks, units, annotators, codes, tuple(self._codes))


class Record:
    """What people say now: no skips, nothing superseded or withdrawn, nothing imported.

    One thread at a time.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._said: dict[int, Said] = {}
        self._growing: dict[str, _Growing] = {}
        self._last = self._rows = 0
        self._erasure: int | None = None

    @property
    def said(self) -> list[Said]:
        """Judgements, oldest first."""
        return list(self._said.values())

    def columns(self) -> dict[str, Column]:
        """Values by question type, in the order of `QUESTIONS`, questions of sets behind.

        Types nobody answered are absent.
        """
        names = [*QUESTIONS, *sorted(self._growing.keys() - QUESTIONS.keys())]
        columns = {q: self._growing[q].column() for q in names if q in self._growing}
        return {question: each for question, each in columns.items() if len(each.codes)}

    def refresh(self, session: Session) -> tuple[int, int, int | None]:
        """Bring it up to date. What it gives changes whenever what people say does."""
        erasure = session.scalar(select(func.max(Erasure.id)))
        rows = session.scalar(
            select(func.count()).select_from(Judgement).where(Judgement.id <= self._last)
        )
        # PostgreSQL may commit rows in another order than that of their numbers.
        if erasure != self._erasure or rows != self._rows:
            self._forget()
            self._erasure = erasure
        after = self._last
        judgements = session.execute(
            select(
                Judgement.id,
                Judgement.annotator_id,
                Assignment.task_id,
                Judgement.kind,
                Judgement.created_at,
                Judgement.seconds,
                Judgement.supersedes_id,
                Annotator.role,
            )
            .join(Assignment, Assignment.id == Judgement.assignment_id)
            .join(Annotator, Annotator.id == Judgement.annotator_id)
            .where(Judgement.id > after)
            .order_by(Judgement.id)
        ).all()
        if judgements:
            observed_in = _told(session, after)
            gone = [row.supersedes_id for row in judgements if row.supersedes_id is not None]
            self._change(
                (
                    Said(*row[:6], told=tuple(observed_in.get(row.id, ())))
                    for row in judgements
                    if row.kind not in ("skip", "withdrawal") and row.role != "source"
                ),
                gone,
            )
            self._last = judgements[-1].id
            self._rows += len(judgements)
        return self._rows, self._last, self._erasure

    def _change(self, new: Iterable[Said], gone: Sequence[int]) -> None:
        dropped = set(gone)
        values: dict[str, list[tuple[Said, Told]]] = defaultdict(list)
        for judgement in new:
            if judgement.id in dropped:
                continue
            self._said[judgement.id] = judgement
            for observed in judgement.told:
                values[observed.question].append((judgement, observed))
        old = [id_ for id_ in gone if self._said.pop(id_, None) is not None]
        for question in values.keys() | (self._growing.keys() if old else set()):
            growing = self._growing.setdefault(question, _Growing())
            growing.change(values.get(question, []), old)


def current(session: Session) -> Record:
    """What people say now, read whole."""
    record = Record()
    record.refresh(session)
    return record
