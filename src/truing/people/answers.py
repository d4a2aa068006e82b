"""What can be said about a task of each kind, and how it becomes rows.

Adding a kind of task is a function here, a line in `_SAY`, its words in `vocabulary.py` and its form in
the page's template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from truing.data.messages import checked_text, text_hash
from truing.people.suggesting import suggest
from truing.people.tables import (
    Annotation,
    Assignment,
    Comparison,
    Completion,
    Demonstration,
    Flag,
    Judgement,
    Ranking,
    Rating,
)
from truing.people.vocabulary import FLAG_VALUES, FLAGS, METADATA, RATINGS, USE_CASES
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


def shown_completions(assignment: Assignment) -> list[Completion]:
    """The completions in the order in which this person sees them."""
    shown = assignment.task.shown
    return [shown[position].completion for position in assignment.order]


def _demonstration(judgement: Judgement, answer: Answer, shown: list[Completion]) -> None:
    text = checked_text(answer.text, "answer")
    judgement.demonstration = Demonstration(text=text, text_hash=text_hash(text))


def _rating(judgement: Judgement, answer: Answer, shown: list[Completion]) -> None:
    if answer.value not in RATINGS:
        raise InputError("rating: choose a number from 1 to 7")
    rated = shown[0]
    judgement.rating = Rating(completion_id=rated.id, text_hash=rated.text_hash, value=answer.value)
    for name, value in answer.flags.items():
        if name not in FLAGS or value not in FLAG_VALUES:
            raise InputError(f"{name}: choose {', '.join(FLAG_VALUES)}, or leave it open")
        judgement.flags.append(Flag(name=name, value=value))


def _comparison(judgement: Judgement, answer: Answer, shown: list[Completion]) -> None:
    if answer.preferred not in ("first", "second", "tie"):
        raise InputError("comparison: choose the better answer, or that they are equally good")
    first, second = shown
    judgement.comparison = Comparison(
        first_id=first.id,
        first_hash=first.text_hash,
        second_id=second.id,
        second_hash=second.text_hash,
        preferred=answer.preferred,
    )


def _ranking(judgement: Judgement, answer: Answer, shown: list[Completion]) -> None:
    if set(answer.ranks) != set(range(len(shown))):
        raise InputError("ranking: give every answer a rank")
    if not all(1 <= rank <= len(shown) for rank in answer.ranks.values()):
        raise InputError(f"ranking: ranks go from 1, the best, to {len(shown)}")
    # Ranks 1, 3, 3 and 1, 2, 2 say the same; the second is kept.
    steps = {rank: step for step, rank in enumerate(sorted(set(answer.ranks.values())), start=1)}
    for place, rank in sorted(answer.ranks.items()):
        completion = shown[place]
        judgement.rankings.append(
            Ranking(completion_id=completion.id, text_hash=completion.text_hash, rank=steps[rank])
        )


def _annotation(judgement: Judgement, answer: Answer, shown: list[Completion]) -> None:
    if answer.use_case not in USE_CASES:
        raise InputError("use case: choose one")
    messages = judgement.assignment.task.prompt.messages
    judgement.annotation = Annotation(
        use_case=answer.use_case, suggested=suggest(messages).use_case
    )
    for name in METADATA:
        value = answer.flags.get(name, "no")
        if value not in FLAG_VALUES:
            raise InputError(f"{name}: choose {', '.join(FLAG_VALUES)}")
        judgement.flags.append(Flag(name=name, value=value))


_SAY: dict[str, Callable[[Judgement, Answer, list[Completion]], None]] = {
    "demonstration": _demonstration,
    "rating": _rating,
    "comparison": _comparison,
    "ranking": _ranking,
    "annotation": _annotation,
}


def say(judgement: Judgement, answer: Answer) -> None:
    """Fill a new row with the answer, as its kind wants it. Raises InputError."""
    _SAY[judgement.kind](judgement, answer, shown_completions(judgement.assignment))


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
    fields |= {f"rank-{places[each.completion_id]}": str(each.rank) for each in judgement.rankings}
    return fields
