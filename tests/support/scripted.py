"""A respondent whose answers a function writes: for evaluations that are tried without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.respondent import Ability, Advance, Computed, Longest, of_each, silent
from truing.prompts.variants import Context
from truing.types import Case, Completion, Unscored


@dataclass
class Scripted:
    """Answers each case with what `script` makes of it, `finished` or cut off; what it was asked stands in
    `asked`, how long each answer might be in `most`, by the case's id."""

    script: Callable[[Case], str | Unscored]
    name: str = "scripted"
    seed: int = 0
    prompt_name: str = "own"
    lacks: Mapping[Ability, str] = field(default_factory=dict)
    hint: str = ""
    computed: Computed = field(default_factory=Computed)
    asked: list[Case] = field(default_factory=list)
    finished: bool = True
    most: dict[str, int] = field(default_factory=dict)

    def answer(
        self,
        cases: Sequence[Case],
        max_new_tokens: Longest,
        *,
        temperature: float = 0.0,
        tokens: bool = False,
        advance: Advance = silent,
    ) -> list[Completion | Unscored]:
        """See Respondent."""
        self.asked += cases
        self.most |= dict(
            zip((case.id for case in cases), of_each(max_new_tokens, cases), strict=True)
        )
        answers = map(self.script, cases)
        return [
            each if isinstance(each, Unscored) else Completion(each, (), (), self.finished)
            for each in answers
        ]

    def choose(
        self, cases: Sequence[Case], advance: Advance = silent
    ) -> list[Choices | Lettered | Unscored]:
        """See Respondent: it can't."""
        return [Unscored("scripted")] * len(cases)

    def contexts(self, cases: Sequence[Case]) -> tuple[Context, ...]:
        """See Respondent: nothing is known."""
        return ()

    def about(self) -> dict[str, Any]:
        """See Respondent: nothing is known."""
        return {}


def everything_said(case: Case) -> str:
    """All that a case says, system message and earlier turns as well."""
    return "\n".join(content for _, content in case.messages) or case.prompt
