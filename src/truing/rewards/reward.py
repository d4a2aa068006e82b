"""What every reward is: finished answers in, one score for each out."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from truing.types import Case, Completion, InputError, Score, Unscored


@dataclass(frozen=True)
class Answered:
    """A case and an answer to it. `finished` is False where the length limit cut the answer off."""

    case: Case
    answer: str
    finished: bool = True

    @staticmethod
    def of(case: Case, completion: Completion) -> Answered:
        """A sampled completion as the answer to the case that it was sampled for."""
        return Answered(case, completion.text.strip(), completion.finished)


class Reward(Protocol):
    """A function from answers to scores. A score is a number, or unscored with a reason."""

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """One score for each answer, higher is better."""
        ...


def scored(reward: Reward, answers: Sequence[Answered]) -> list[Score]:
    """The reward's scores, one for each answer; None and NaN become unscored.

    Raises InputError where the reward raises, gives another number of scores, or something that is
    neither a finite number nor unscored: a mistake in a reward never becomes a score.
    """
    name = getattr(reward, "__name__", type(reward).__name__)
    try:
        given: Any = reward(answers)
        scores = list(given)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"reward: {name} failed on {len(answers)} answers ({type(error).__name__}: {error}); "
            "it must give one number for each answer, None where it can't"
        ) from error
    if len(scores) != len(answers):
        raise InputError(
            f"reward: {name} gave {len(scores)} scores for {len(answers)} answers; "
            "each answer needs one"
        )
    return [
        as_score(value, "the reward", f"reward: {name}", f" for answer {place}")
        for place, value in enumerate(scores)
    ]


def graded(grade: Callable[[Answered], Score], answers: Sequence[Answered]) -> list[Score]:
    """The grade of each answer; who grades `many` at once is asked about all of them together."""
    many: Callable[[Sequence[Answered]], list[Score]] | None = getattr(grade, "many", None)
    return [grade(each) for each in answers] if many is None else many(answers)


def as_score(value: Any, giver: str, name: str, place: str = "", kind: str = "score") -> Score:
    """What a function gave as a score; None and NaN are unscored, with `giver` in the reason.

    Raises InputError, naming function and `place`, where it is neither a finite number nor None.
    """
    if isinstance(value, Unscored):
        return value
    if value is None:
        return Unscored(f"{giver} gave None")
    if getattr(value, "ndim", None) == 0:  # a tensor or array that holds one number
        value = value.item()
    if not isinstance(value, numbers.Real):
        raise InputError(
            f"{name} gave a {type(value).__name__}{place}; a {kind} is a number, true or false, or "
            "None where there is none"
        )
    if math.isnan(value):
        return Unscored(f"{giver} gave NaN")
    if math.isinf(value):
        raise InputError(f"{name} gave {value}{place}; {kind}s must be finite")
    return float(value)
