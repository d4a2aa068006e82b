"""What every reward is: finished answers in, one score for each out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from truing.types import Case, Completion, Score


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
