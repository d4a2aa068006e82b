"""Searching prompts, answers and what people wrote for words, as the lead does."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current
from truing.people.tables import (
    Annotator,
    Assignment,
    Completion,
    Demonstration,
    Judgement,
    Prompt,
    Task,
    TaskCompletion,
)

MOST = 50
"""Results of each sort that are shown."""
AROUND = 80
"""Characters shown on each side of what was looked for."""
_AT_ONCE = 1000


@dataclass(frozen=True)
class Hit:
    """A place where the words stand: in whose text, what is around them, and a task about it."""

    whose: str
    before: str
    words: str
    after: str
    task: int | None


@dataclass(frozen=True)
class Hits:
    """What was found: in prompts, in answers, and in what people wrote; of each at most `MOST`."""

    prompts: list[Hit]
    answers: list[Hit]
    judgements: list[Hit]

    @property
    def count(self) -> int:
        """All together."""
        return len(self.prompts) + len(self.answers) + len(self.judgements)


def search(session: Session, words: str) -> Hits:
    """Texts in which the words stand as they are written, capitals aside."""
    looked_for = _one_line(words)
    if not looked_for:
        return Hits([], [], [])
    return Hits(*(list(_hits(texts, looked_for)) for texts in _texts(session)))


_Text = tuple[str, str, int | None]
"""Whose it is, the text, and a task about it."""


def _texts(session: Session) -> Iterator[Iterable[_Text]]:
    yield _prompts(session)
    yield _answers(session)
    yield _written(session)


def _rows(session: Session, query: Select[*tuple[Any, ...]]) -> Iterator[Any]:
    yield from session.execute(query.execution_options(yield_per=_AT_ONCE))


def _prompts(session: Session) -> Iterator[_Text]:
    task = select(func.min(Task.id)).where(Task.prompt_id == Prompt.id).scalar_subquery()
    for messages, source, number in _rows(
        session, select(Prompt.messages, Prompt.source, task).order_by(Prompt.id)
    ):
        for message in messages:
            yield source, message["content"], number


def _answers(session: Session) -> Iterator[_Text]:
    task = (
        select(func.min(TaskCompletion.task_id))
        .where(TaskCompletion.completion_id == Completion.id)
        .scalar_subquery()
    )
    query = select(Completion.candidate, Completion.text, task).order_by(Completion.id)
    yield from _rows(session, query)


def _written(session: Session) -> Iterator[_Text]:
    """Notes, and answers that people wrote, of judgements that stand."""
    query = (
        select(Annotator.name, Judgement.note, Demonstration.text, Assignment.task_id)
        .select_from(Judgement)
        .join(Annotator, Annotator.id == Judgement.annotator_id)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .outerjoin(Demonstration, Demonstration.judgement_id == Judgement.id)
        .where(is_current())
        .order_by(Judgement.id)
    )
    for name, note, text, number in _rows(session, query):
        for each in filter(None, (text, note)):
            yield name, each, number


def _one_line(text: str) -> str:
    """Without line ends, and with each accented letter as one character, however it was typed."""
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _hits(texts: Iterable[_Text], words: str) -> Iterator[Hit]:
    looked_for = re.compile(re.escape(words), re.IGNORECASE)
    return islice(filter(None, (_hit(*each, looked_for) for each in texts)), MOST)


def _hit(whose: str, text: str, task: int | None, looked_for: re.Pattern[str]) -> Hit | None:
    line = _one_line(text)
    at = looked_for.search(line)
    if at is None:
        return None
    start, end = max(at.start() - AROUND, 0), at.end() + AROUND
    before = ("… " if start else "") + line[start : at.start()]
    after = line[at.end() : end] + (" …" if end < len(line) else "")
    return Hit(whose, before, at[0], after, task)
