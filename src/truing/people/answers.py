"""What can be said about a task of each kind, and how it becomes rows.

Adding a kind of task is a function here, a line in `_SAY`, its words in `vocabulary.py` and its form in
the page's template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from truing.data.messages import Messages, checked_text, text_hash
from truing.people.suggesting import suggest
from truing.people.tables import (
    Annotation,
    Assignment,
    Base,
    Comparison,
    Completion,
    Demonstration,
    Flag,
    Judgement,
    Ranking,
    Rating,
)
from truing.people.vocabulary import (
    FLAG_VALUES,
    FLAGS,
    METADATA,
    OUTCOMES,
    RATINGS,
    USE_CASES,
)
from truing.types import InputError


@dataclass(frozen=True)
class Answer:
    """What somebody says about an assignment. Only the fields of the kind are looked at.

    Answers are named by their place on the page (0 is the first shown), never by candidate.
    """

    text: str = ""
    value: int | None = None
    flags: dict[str, str] = field(default_factory=dict)
    preferred: str = ""
    ranks: dict[int, int] = field(default_factory=dict)
    use_case: str = ""
    outcome: str = ""
    choice: int | None = None
    grades: dict[str, str] = field(default_factory=dict)
    """By the key of a question of the team's own: the number of the grade, 1 the first."""


def shown_completions(assignment: Assignment) -> list[Completion]:
    """The completions in the order in which this person sees them."""
    shown = assignment.task.shown
    return [shown[position].completion for position in assignment.order]


class Text(Protocol):
    """A completion, as far as judgements name it."""

    @property
    def id(self) -> int:
        """Its row."""

    @property
    def text_hash(self) -> str:
        """SHA-256 of the text."""


Rows = list[tuple[type[Base], dict[str, Any]]]
"""Rows of the tables that hold what was said, without the judgement that they belong to."""


def _flags(flags: dict[str, str]) -> Rows:
    return [(Flag, {"name": name, "value": value}) for name, value in flags.items()]


def _demonstration(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    text = checked_text(answer.text, "answer")
    return [(Demonstration, {"text": text, "text_hash": text_hash(text)})]


def _rating(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    if answer.value not in RATINGS:
        raise InputError("rating: choose a number from 1 to 7")
    for name, value in answer.flags.items():
        if name not in FLAGS or value not in FLAG_VALUES:
            raise InputError(f"{name}: choose {', '.join(FLAG_VALUES)}, or leave it open")
    rated = shown[0]
    row = {"completion_id": rated.id, "text_hash": rated.text_hash, "value": answer.value}
    return [(Rating, row), *_flags(answer.flags)]


def _comparison(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    if answer.preferred not in ("first", "second", "tie"):
        raise InputError("comparison: choose the better answer, or that they are equally good")
    first, second = shown
    row = {
        "first_id": first.id,
        "first_hash": first.text_hash,
        "second_id": second.id,
        "second_hash": second.text_hash,
        "preferred": answer.preferred,
    }
    return [(Comparison, row)]


def without_gaps(ranks: Mapping[int, int]) -> dict[int, int]:
    """Ranks by place, without gaps: 1, 3, 3 and 1, 2, 2 say the same, and the second is kept."""
    steps = {rank: step for step, rank in enumerate(sorted(set(ranks.values())), start=1)}
    return {place: steps[rank] for place, rank in ranks.items()}


def _ranking(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    if set(answer.ranks) != set(range(len(shown))):
        raise InputError("ranking: give every answer a rank")
    if not all(1 <= rank <= len(shown) for rank in answer.ranks.values()):
        raise InputError(f"ranking: ranks go from 1, the best, to {len(shown)}")
    return [
        (
            Ranking,
            {
                "completion_id": shown[place].id,
                "text_hash": shown[place].text_hash,
                "rank": rank,
            },
        )
        for place, rank in sorted(without_gaps(answer.ranks).items())
    ]


def _annotation(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    if answer.use_case not in USE_CASES:
        raise InputError("use case: choose one")
    flags = {name: answer.flags.get(name, "no") for name in METADATA}
    for name, value in flags.items():
        if value not in FLAG_VALUES:
            raise InputError(f"{name}: choose {', '.join(FLAG_VALUES)}")
    row = {"use_case": answer.use_case, "suggested": suggest(messages).use_case}
    return [(Annotation, row), *_flags(flags)]


def _outcome(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    if answer.outcome not in OUTCOMES:
        raise InputError("outcome: choose one")
    return _flags({"outcome": answer.outcome})


def _opinion(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    if answer.choice is None or not 0 <= answer.choice < len(shown):
        raise InputError("opinion: choose one of the options")
    return _flags({"opinion": str(shown[answer.choice].id)})


def _questions(answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    return _flags(answer.grades)  # looked at by `truing.people.questions`, which knows the set


_SAY: dict[str, Callable[[Answer, Sequence[Text], Messages], Rows]] = {
    "demonstration": _demonstration,
    "rating": _rating,
    "comparison": _comparison,
    "ranking": _ranking,
    "annotation": _annotation,
    "outcome": _outcome,
    "opinion": _opinion,
    "questions": _questions,
}
_PARTS: dict[type[Base], str] = {
    Demonstration: "demonstration",
    Rating: "rating",
    Comparison: "comparison",
    Annotation: "annotation",
}
_LISTS: dict[type[Base], str] = {Ranking: "rankings", Flag: "flags"}


def rows_of(kind: str, answer: Answer, shown: Sequence[Text], messages: Messages) -> Rows:
    """The answer to a prompt as rows, as its kind wants it. Raises InputError."""
    return _SAY[kind](answer, shown, messages)


def say(judgement: Judgement, answer: Answer) -> None:
    """Fill a new row with the answer, as its kind wants it. Raises InputError."""
    assignment = judgement.assignment
    shown = shown_completions(assignment)
    for table, values in rows_of(judgement.kind, answer, shown, assignment.task.prompt.messages):
        if table in _LISTS:
            getattr(judgement, _LISTS[table]).append(table(**values))
        else:
            setattr(judgement, _PARTS[table], table(**values))


def form_fields(judgement: Judgement) -> dict[str, str]:
    """A judgement as the fields of the page's form, so that it can be changed."""
    places = {c.id: place for place, c in enumerate(shown_completions(judgement.assignment))}
    fields = {"note": judgement.note, "reason": judgement.reason}
    if judgement.demonstration:
        fields["text"] = judgement.demonstration.text
    if judgement.rating:
        fields["value"] = str(judgement.rating.value)
    if judgement.comparison:
        fields["preferred"] = judgement.comparison.preferred
    if judgement.annotation:
        fields["use_case"] = judgement.annotation.use_case
    fields |= {flag.name: flag.value for flag in judgement.flags}
    if judgement.kind == "opinion":
        fields["choice"] = str(places[int(fields.pop("opinion"))])
    fields |= {f"rank-{places[each.completion_id]}": str(each.rank) for each in judgement.rankings}
    return fields
