"""Respondents: whatever answers questions and chooses between answers. Every evaluation takes any kind.

Kinds: a candidate whose weights are here (local.py), a server's model (sweep/served.py), and answers
that somebody wrote down (recorded.py). One that lacks an ability gives *unscored* with the reason where
it is asked for it; it never fails for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from truing.types import Case, Completion, Unscored

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.evaluate.lettered import Lettered
    from truing.evaluate.multiple_choice import Choices
    from truing.prompts.variants import Context

Ability = Literal["answers", "likelihoods", "tokens", "distributions"]
"""Answers in its own words; log-probabilities of given answers; the tokens of its own answers; the whole
distribution of each next token."""
Advance = Callable[[int], object]
"""Hears how many cases are done."""
Longest = int | Sequence[int]
"""Tokens of an answer at most: one number for all cases, or each case's own."""


def silent(done: int) -> None:
    """Nobody hears how many cases are done."""


def of_each(most: Longest, cases: Sequence[Case]) -> list[int]:
    """The number of tokens for each case."""
    return [most] * len(cases) if isinstance(most, int) else list(most)


@dataclass(frozen=True)
class Continued:
    """A text, and what may follow it word for word."""

    text: str
    behind: tuple[str, ...]


class Respondent(Protocol):
    """One who answers, under one prompt. `name` and `seed` stand in its rows.

    `prompt_name` is what the prompt is called, `lacks` says which abilities it hasn't and why, and
    `hint` what would help where it could answer no case; empty where that is no mistake.
    """

    @property
    def name(self) -> str:
        """What its rows are filed under."""
        ...

    @property
    def seed(self) -> int:
        """The seed that it was made with, or that its draws are from."""
        ...

    @property
    def prompt_name(self) -> str:
        """'own', 'helpful', ..."""
        ...

    @property
    def lacks(self) -> Mapping[Ability, str]:
        """The abilities that it hasn't, each with the reason."""
        ...

    @property
    def hint(self) -> str:
        """What would help where no case could be answered; empty where that is no mistake."""
        ...

    def answer(
        self,
        cases: Sequence[Case],
        max_new_tokens: Longest,
        *,
        temperature: float = 0.0,
        tokens: bool = False,
        advance: Advance = silent,
    ) -> list[Completion | Unscored]:
        """An answer to each case in its own words, the likeliest token each time or drawn.

        Without `tokens` an answer may come without its tokens, from a store on disk for instance.
        """
        ...

    def choose(
        self, cases: Sequence[Case], advance: Advance = silent
    ) -> list[Choices | Lettered | Unscored]:
        """How likely it finds each given answer of each case, or which of them it takes."""
        ...

    def continued(
        self, asked: Sequence[Continued], advance: Advance = silent
    ) -> list[tuple[float, ...] | Unscored]:
        """Log-probabilities (nats) of what may follow each text, behind its prompt."""
        ...

    def contexts(self, cases: Sequence[Case]) -> tuple[Context, ...]:
        """What the answer to each case continues, where that is known; else nothing."""
        ...

    def about(self) -> dict[str, Any]:
        """What is known of the model by now."""
        ...

    @property
    def computed(self) -> Computed:
        """What it has computed by now, what was found in a store left out."""
        ...


class Computed:
    """How many choices, answers and tokens of answers were computed, not found in a store on disk."""

    def __init__(self) -> None:
        self.choices = 0
        self.answers = 0
        self.tokens = 0
