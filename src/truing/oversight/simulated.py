"""Simulated people: what each would answer to a plan's trials. Some are oracles whose figures are known.

    always    follows the adviser (in a debate the last speaker), and the passage
    never     stays with what it said before, whatever it reads
    quotes    sides with whoever has more verified quotations, else stays with what it said before
    coin      tosses a coin before and after

Before any advice the oracles but the coin say A, which is right exactly half of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from truing.data.oversight.answers import TrialAnswer
from truing.data.oversight.plans import LETTERS, Plan, Trial
from truing.types import answer_key

Oracle = Literal["always", "never", "quotes", "coin"]
_UNSURE, _SURE, _SECONDS = 60, 90, 30.0
Answers = tuple[int, int]


@dataclass(frozen=True)
class Person:
    """How a kind of people answers: the chance of knowing an item unaided and with the passage, and of
    following whoever spoke last, where somebody speaks for a side.

    `spread` is by how much people's log-odds of skill and trust differ, `difficulty` items'.
    """

    skill: float
    trust: float
    reading: float = 0.95
    spread: float = 0.0
    difficulty: float = 0.0


def oracle_answers(plan: Plan, oracle: Oracle, seed: int = 0) -> list[TrialAnswer]:
    """What an oracle answers to all trials of a plan."""
    rng, key = np.random.default_rng(seed), plan.key()

    def answer(trial: Trial) -> Answers:
        right = right_place(trial, key[trial.item].answer)
        return _ORACLES[oracle](trial, right, rng)

    return [_recorded(trial, *answer(trial)) for trial in plan.trials]


def right_place(trial: Trial, answer: str) -> int:
    """Where the right option stands in a trial."""
    return [answer_key(option) for option in trial.options].index(answer_key(answer))


def _always(trial: Trial, right: int, rng: np.random.Generator) -> Answers:
    side = trial.speeches[-1].side if trial.speeches else None
    if trial.arm == "passage":
        side = right
    return 0, 0 if side is None else side


def _never(trial: Trial, right: int, rng: np.random.Generator) -> Answers:
    return 0, 0


def _quotes(trial: Trial, right: int, rng: np.random.Generator) -> Answers:
    verified = [0, 0]
    for speech in trial.speeches:
        if speech.side is not None:
            verified[speech.side] += sum(quote.verified for quote in speech.quotes)
    if trial.arm == "passage":
        return 0, right
    # A lone adviser without a verified quotation has nothing to show for its side.
    if trial.side is not None and not verified[trial.side]:
        return 0, 1 - trial.side
    return 0, 0 if verified[0] >= verified[1] else 1


def _coin(trial: Trial, right: int, rng: np.random.Generator) -> Answers:
    first, second = rng.integers(2, size=2)
    return int(first), int(second)


_ORACLES: dict[Oracle, Callable[[Trial, int, np.random.Generator], Answers]] = {
    "always": _always,
    "never": _never,
    "quotes": _quotes,
    "coin": _coin,
}


def people_answers(plan: Plan, person: Person, seed: int = 0) -> list[TrialAnswer]:
    """What people of this kind answer to all trials of a plan."""
    rng, key = np.random.default_rng(seed), plan.key()
    skill = {name: person.spread * rng.standard_normal() for name in plan.people}
    trust = {name: person.spread * rng.standard_normal() for name in plan.people}
    items = {item: person.difficulty * rng.standard_normal() for item in key}
    answers = []
    for trial in plan.trials:
        right = right_place(trial, key[trial.item].answer)
        shift = skill[trial.person] + items[trial.item]
        before = _drawn(rng, person.skill, shift, right)
        after, side = before, trial.speeches[-1].side if trial.speeches else None
        if trial.arm == "passage":
            after = _drawn(rng, person.reading, shift, right)
        elif side is not None and rng.random() < _chance(person.trust, trust[trial.person]):
            after = side
        answers.append(_recorded(trial, before, after))
    return answers


def _chance(share: float, shift: float) -> float:
    return float(1 / (1 + np.exp(-np.log(share / (1 - share)) - shift)))


def _drawn(rng: np.random.Generator, share: float, shift: float, right: int) -> int:
    return right if rng.random() < _chance(share, shift) else 1 - right


def _recorded(trial: Trial, before: int, after: int) -> TrialAnswer:
    return TrialAnswer(
        trial.id, trial.person, LETTERS[before], _UNSURE, LETTERS[after], _SURE, _SECONDS
    )
