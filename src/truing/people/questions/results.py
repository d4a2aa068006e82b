"""How candidates' answers were graded on the questions of sets: counts, with nothing averaged."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current
from truing.people.questions.sets import Question
from truing.people.questions.tables import KIND
from truing.people.tables import (
    Annotator,
    Assignment,
    Completion,
    Flag,
    Judgement,
    TaskCompletion,
)


@dataclass(frozen=True)
class Graded:
    """A candidate's answers on one question: how many judgements chose each grade, in their order."""

    question: str
    candidate: str
    grades: tuple[tuple[str, int], ...]
    people: int

    @property
    def judgements(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.grades)


def graded(session: Session, questions: Mapping[str, Question]) -> list[Graded]:
    """Every question that was answered, candidate by candidate."""
    query = (
        select(Flag.name, Completion.candidate, Flag.value, Judgement.annotator_id)
        .select_from(Flag)
        .join(Judgement, Judgement.id == Flag.judgement_id)
        .join(Annotator, Annotator.id == Judgement.annotator_id)
        .join(Assignment, Assignment.id == Judgement.assignment_id)
        .join(TaskCompletion, TaskCompletion.task_id == Assignment.task_id)
        .join(Completion, Completion.id == TaskCompletion.completion_id)
        .where(is_current(), Judgement.kind == KIND, Annotator.role != "source")
    )
    counts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    people: dict[tuple[str, str], set[int]] = defaultdict(set)
    for key, candidate, number, person in session.execute(query):
        counts[key, candidate][int(number)] += 1
        people[key, candidate].add(person)
    return [
        Graded(
            key,
            candidate,
            tuple((grade, of[place]) for place, grade in enumerate(questions[key].grades, start=1)),
            len(people[key, candidate]),
        )
        for (key, candidate), of in sorted(counts.items())
    ]
