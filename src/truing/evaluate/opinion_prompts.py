"""What is asked about a survey's question: its options under letters, in every order, or not at all.

A small model takes a letter or a place, whatever stands there. So every option stands in every place as
often: all orders where there are few options, else all rotations of the printed order and of its reverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Literal, get_args

from truing.data.surveys.readings import Reading
from truing.evaluate.named_choice import LETTERS, rotations

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.data.survey import Survey
    from truing.data.surveys.steering import SteeredTo

Orders = Literal["all", "rotations"]
ORDERS: tuple[Orders, ...] = get_args(Orders)
ALL_UP_TO = 4
"""All orders of so many options are asked, 24; of more options the rotations."""


@dataclass(frozen=True)
class OpinionsAsked:
    """The survey, how answers are read, in which orders options are listed, and the groups that
    respondents are steered to."""

    survey: Survey
    readings: tuple[Reading, ...] = ("letters",)
    orders: Orders = "all"
    steer: tuple[SteeredTo, ...] = ()


def asked_of(survey: Survey | None) -> OpinionsAsked | None:
    """How a task's survey is asked: its options in all orders, read by their letters."""
    return None if survey is None else OpinionsAsked(survey)


def orders(options: int, which: Orders = "all") -> list[tuple[int, ...]]:
    """Orders in which every option stands in every place as often, the printed one first.

    `all`: every order of up to ALL_UP_TO options; of more, and for `rotations`, the rotations of the
    printed order and of its reverse.
    """
    printed = tuple(range(options))
    if which == "all" and options <= ALL_UP_TO:
        return list(permutations(printed))
    return list(dict.fromkeys((*rotations(printed), *rotations(printed[::-1]))))


def lettered(question: str, options: Sequence[str]) -> str:
    """The question with its options under letters, up to the answer."""
    return "\n".join([f"Question: {question}", *_listed(options), "Answer:"])


def _listed(options: Sequence[str]) -> list[str]:
    return [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]


def letter_texts(options: int) -> tuple[str, ...]:
    """What may follow `lettered`: each letter behind a space, then bare; tokenizers differ in which of
    the two is a token."""
    return tuple(text for letter in LETTERS[:options] for text in (f" {letter}", letter))


def unlettered(question: str) -> str:
    """The question without its options, up to the answer."""
    return f"Question: {question}\nAnswer:"


NEUTRAL = "Question:\nAnswer:"
"""The same without a question: how likely an option's text is whatever is asked."""


def spoken(question: str, options: Sequence[str]) -> str:
    """The question with its options under letters, for an answer in the respondent's own words."""
    return "\n".join([question, "", *_listed(options), "", "Which of these is your answer?"])
