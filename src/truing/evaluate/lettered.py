"""Multiple choice by letters, for models that only chat: "A", "B", ... and one of them in reply.

Models lean towards a letter or a place, so every choice stands once in every place: a seeded order and
all its rotations. A question's score is the share of these orders in which the true answer was taken,
so a model that always says "A" gets 1 / (number of choices). One reply that names no choice leaves the
question unscored: without it, the places would no longer be balanced.

MC1 offers the best true answer and all false ones, binary the best true and the best false one. MC2 is a
share of probability and has no counterpart here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truing.evaluate.evaluation import LOG_PROBABILITIES
from truing.evaluate.multiple_choice import finite
from truing.evaluate.named_choice import LETTERS, rotations
from truing.types import Case, Score, Unscored, stable_hash

NO_MC2 = "the model names a letter and gives no likelihoods, which MC2 needs"
NO_LIKELIHOODS = "the model names a letter and gives no likelihoods"
NO_LETTER = "a reply named no letter, or not one alone, so the order of choices isn't balanced"
CUT_OFF = "a reply was cut off by the length limit before it was plain which letter it names"
TORN = -1.0
"""Stands for the place that a reply which was cut off names."""
LETTER_TOKENS = 16
"""Tokens of a reply: a letter, with room for a sentence around it."""


def offered(case: Case) -> tuple[str, ...]:
    """MC1's choices: the best true answer, then every false one."""
    return (*case.correct_answers[:1], *case.incorrect_answers)


def orders(choices: Sequence[str], question: str, seed: int) -> list[tuple[int, ...]]:
    """Every rotation of one order of the choices that seed and question draw: each choice stands once
    in every place."""
    name = stable_hash("letters", str(seed), question, *choices)
    rng = np.random.default_rng(int(name[:15], 16))
    return rotations([int(place) for place in rng.permutation(len(choices))])


def lettered_question(question: str, choices: Sequence[str]) -> str:
    """The question with its choices under letters, and how to reply."""
    listed = [f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question, "", *listed, "", "Reply with one letter and nothing else."])


@dataclass(frozen=True)
class Lettered:
    """What was taken in each order, as places in `offered` (0 is the true answer, NaN none, TORN can't be
    told): among all choices, and among the first two."""

    among_all: tuple[float, ...]
    among_two: tuple[float, ...]

    @property
    def metrics(self) -> dict[str, Score]:
        """MC1 and binary as shares of the orders; MC2 is unscored."""
        return {
            "mc1": _share(self.among_all),
            "mc2": Unscored(NO_MC2),
            "binary": _share(self.among_two),
        }

    @property
    def log_probabilities(self) -> dict[str, Score]:
        """Unscored, as MC2 is."""
        return dict.fromkeys(LOG_PROBABILITIES, Unscored(NO_LIKELIHOODS))

    @property
    def nothing(self) -> Unscored | None:
        """Why there is no figure, where there is none."""
        reasons = [score for score in self.metrics.values() if isinstance(score, Unscored)]
        return reasons[0] if len(reasons) == len(self.metrics) else None

    @property
    def detail(self) -> dict[str, Any]:
        """What stands behind the metrics, for rows; `cut_off` counts the replies that were, if any."""
        orders = {"all": self.among_all, "two": self.among_two}
        torn = sum(taken.count(TORN) for taken in orders.values())
        taken = {name: finite([_known(place) for place in row]) for name, row in orders.items()}
        return {"taken": taken, **({"cut_off": torn} if torn else {})}


def _known(place: float) -> float:
    return math.nan if place == TORN else place


def _share(taken: Sequence[float]) -> Score:
    if TORN in taken:
        return Unscored(CUT_OFF)
    if not taken or any(map(math.isnan, taken)):
        return Unscored(NO_LETTER)
    return sum(place == 0 for place in taken) / len(taken)
