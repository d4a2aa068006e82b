"""What every evaluation is: a respondent and cases in, one row per case out, with its metrics declared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from truing.candidates import Candidate
from truing.judges.built_in import Judges
from truing.rewards.reward import Reward
from truing.types import Case, Completion, Metric, Row


@dataclass(frozen=True)
class EvalContext:
    """What evaluations of one run share: the cases and the graders.

    `held_out` are the questions nobody trained on, `controls` questions without a misconception.
    `base` is the unaligned candidate, which drift is measured from.
    """

    held_out: Sequence[Case]
    controls: Sequence[Case]
    base: Candidate
    judges: Judges
    reward: Reward | None
    max_new_tokens: int
    attacks: int
    kl_questions: int


@dataclass(frozen=True)
class Respondent:
    """A candidate that is measured, with its free answers to the held-out questions, given once."""

    candidate: Candidate
    answers: Sequence[Completion]

    def row(self, evaluation: str, case: Case, **rest: object) -> Row:
        """A row of an evaluation about this candidate."""
        candidate = self.candidate
        return Row(
            candidate.name,
            candidate.seed,
            evaluation,
            case.id,
            category=case.category,
            **rest,  # type: ignore[arg-type]
        )


@dataclass(frozen=True)
class Evaluation:
    """One way of measuring a respondent. `title` heads its figures; `about` says what it asks.

    `metrics` are declared in the order in which they are shown; `measure` gives rows that have them.
    """

    name: str
    title: str
    about: str
    metrics: tuple[Metric, ...]
    measure: Callable[[EvalContext, Respondent], list[Row]]
