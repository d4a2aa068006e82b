"""The respondent behind a server: a model that is asked over the network, under one prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.respondent import Ability, Advance, Computed, Continued, Longest, silent
from truing.evaluate.served_answers import Interface, served_answers
from truing.evaluate.served_choices import (
    NO_LOG_PROBABILITIES,
    Mode,
    served_choices,
    served_continuations,
)
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.concurrent import HINT
from truing.models.remote.endpoint import Endpoint
from truing.prompts.variants import Context, PromptVariant
from truing.types import Case, Completion, Unscored

LACKS: dict[Ability, str] = {
    "tokens": "a server doesn't give the tokens of its answers",
    "distributions": "a server doesn't give the whole distribution of each next token",
}
_ONLY_LIKELIEST = "a server is asked for its likeliest answer, not for draws"


@dataclass
class ServedRespondent:
    """A served model. `mode` says how it chooses, `interface` how it is asked for its own answers (with
    the fingerprint of the trial; None where it wasn't tried, since nobody will ask).
    """

    name: str
    seed: int
    endpoint: Endpoint
    mode: Mode | None
    interface: tuple[Interface, str] | None
    variant: PromptVariant
    scores: ScoreStore
    answers: AnswerStore
    computed: Computed = field(default_factory=Computed)
    lacks: Mapping[Ability, str] = field(default_factory=lambda: LACKS)
    hint: str = HINT

    @property
    def prompt_name(self) -> str:
        """The variant's name."""
        return self.variant.name

    def answer(
        self,
        cases: Sequence[Case],
        max_new_tokens: Longest,
        *,
        temperature: float = 0.0,
        tokens: bool = False,
        advance: Advance = silent,
    ) -> list[Completion | Unscored]:
        """See Respondent. Answers come without tokens."""
        if tokens or temperature > 0:
            return [Unscored(LACKS["tokens"] if tokens else _ONLY_LIKELIEST)] * len(cases)
        assert self.interface is not None, "opened for choices alone"
        written = served_answers(
            self.endpoint,
            self.interface,
            self.variant,
            cases,
            max_new_tokens,
            self.answers,
            advance,
        )
        self.computed.answers += written.computed
        return written.completions

    def choose(
        self, cases: Sequence[Case], advance: Advance = silent
    ) -> list[Choices | Lettered | Unscored]:
        """See Respondent: by log-probabilities where the server gives them, else by letters."""
        assert self.mode is not None, "opened for answers alone"
        scored = served_choices(
            self.endpoint, self.mode, self.variant, cases, self.scores, self.seed, advance
        )
        self.computed.choices += scored.computed
        return scored.choices

    def continued(
        self, asked: Sequence[Continued], advance: Advance = silent
    ) -> list[tuple[float, ...] | Unscored]:
        """See Respondent: where the server gives log-probabilities."""
        if self.mode != "log-probabilities":
            return [Unscored(NO_LOG_PROBABILITIES)] * len(asked)
        scores, computed = served_continuations(
            self.endpoint, self.variant, asked, self.scores, advance
        )
        self.computed.choices += computed
        return scores

    def contexts(self, cases: Sequence[Case]) -> tuple[Context, ...]:
        """Nothing: the server renders them."""
        return ()

    def about(self) -> dict[str, Any]:
        """How it was asked, and what the server says of itself."""
        return {
            "parameters": None,
            "architecture": "unknown",
            "weights": "unknown",
            "prompt": "",
            "scored": self.mode or "answers",
            **({"answers": self.interface[0]} if self.interface else {}),
            **self.endpoint.about(),
        }
