"""What people said, read from the store as values that can be compared: one list per question type."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from truing.people.agreement import Observation, Scale, Value
from truing.people.assigning import is_current
from truing.people.tables import Annotator, Assignment, Judgement, Task
from truing.people.vocabulary import FLAGS, METADATA

QUESTIONS: dict[str, tuple[str, Scale]] = {
    "rating": ("Rating, 1 to 7", "ordinal"),
    **{name: (text, "nominal") for name, text in FLAGS.items()},
    "comparison": ("Comparison of two", "ordinal"),
    "ranking": ("Ranking", "ordinal"),
    "use_case": ("Use case", "nominal"),
    **{name: (text, "nominal") for name, text in METADATA.items()},
}
"""Question types: what they are called, and how far apart two values are.

A comparison is ordinal: one answer better, equally good, the other better. A flag that somebody is
unsure about, or leaves open, is no value.
"""


def values_of(judgement: Judgement) -> list[tuple[str, str, Value]]:
    """(question type, unit within the task, value) of one judgement, whatever order it was shown in."""
    found: list[tuple[str, str, Value]] = []
    if judgement.rating:
        found.append(("rating", "", judgement.rating.value))
    if judgement.comparison:
        told = judgement.comparison
        lower_first = told.first_id < told.second_id
        better = {"first": 0 if lower_first else 2, "tie": 1, "second": 2 if lower_first else 0}
        found.append(("comparison", "", better[told.preferred]))
    found += [("ranking", str(each.completion_id), each.rank) for each in judgement.rankings]
    if judgement.annotation:
        found.append(("use_case", "", judgement.annotation.use_case))
    found += [(flag.name, "", flag.value) for flag in judgement.flags if flag.value != "unsure"]
    return found


def current_judgements(session: Session) -> Sequence[Judgement]:
    """What people say now, oldest first: no skips, nothing superseded, nothing imported."""
    return session.scalars(
        select(Judgement)
        .join(Annotator, Annotator.id == Judgement.annotator_id)
        .where(is_current(), Judgement.kind != "skip", Annotator.role != "source")
        .options(
            joinedload(Judgement.assignment).joinedload(Assignment.task).joinedload(Task.prompt),
            joinedload(Judgement.rating),
            joinedload(Judgement.comparison),
            joinedload(Judgement.annotation),
            joinedload(Judgement.demonstration),
            selectinload(Judgement.rankings),
            selectinload(Judgement.flags),
        )
        .order_by(Judgement.id)
    ).all()


def observations(judgements: Sequence[Judgement]) -> dict[str, list[Observation]]:
    """Observations by question type, in the order of `QUESTIONS`; types nobody answered are absent."""
    found: dict[str, list[Observation]] = defaultdict(list)
    for judgement in judgements:
        task = judgement.assignment.task_id
        for question, unit, value in values_of(judgement):
            found[question].append(Observation(task, (task, unit), judgement.annotator_id, value))
    return {question: found[question] for question in QUESTIONS if question in found}
