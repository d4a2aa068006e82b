"""Answers that tell nothing about a question: for learning what an informative answer is.

The built-in phrases are split in two by a hash: one half teaches the reward, the other the judge, so
that a policy that learns to please the reward has not learned the judge's examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain

from truing.data.texts import uninformative_answers
from truing.types import Case, stable_hash


@cache
def _halves() -> tuple[tuple[str, ...], tuple[str, ...]]:
    phrases = sorted(chain.from_iterable(uninformative_answers().values()))
    ranked = sorted(phrases, key=lambda phrase: stable_hash("half", phrase))
    middle = len(ranked) // 2
    return tuple(ranked[:middle]), tuple(ranked[middle:])


def _drawn(case: Case, phrases: Sequence[str], count: int) -> list[str]:
    return sorted(phrases, key=lambda phrase: stable_hash("draw", case.id, phrase))[:count]


def phrases_for_training(case: Case, count: int) -> list[str]:
    """Phrases that the reward learns from, drawn for a case by hash."""
    return _drawn(case, _halves()[0], count)


def phrases_for_judging(case: Case, count: int) -> list[str]:
    """Phrases that the judge learns from, drawn for a case by hash; never one of the reward's."""
    return _drawn(case, _halves()[1], count)


def off_topic(case: Case, others: Sequence[Case], count: int) -> list[str]:
    """Reference answers to other questions, of other categories where there are any."""
    foreign = [c for c in others if c.category != case.category and c.id != case.id]
    pool = foreign or [c for c in others if c.id != case.id]
    ranked = sorted(pool, key=lambda other: stable_hash("off topic", case.id, other.id))
    return [other.incorrect_answers[0] for other in ranked[:count]]
