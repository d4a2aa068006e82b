"""The respondent whose weights are here: a candidate under its own prompt or under a prompt variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.candidates import Candidate
from truing.evaluate.answers import answers_and_tokens, drawn
from truing.evaluate.continued import continued_scores
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices, score_choices
from truing.evaluate.respondent import (
    Ability,
    Advance,
    Computed,
    Continued,
    Longest,
    of_each,
    silent,
)
from truing.evaluate.variant import HINT, StoredVariant, rendered
from truing.evaluate.variant_answers import no_room, prompts_under, variant_answers
from truing.evaluate.variant_choices import variant_choices
from truing.models.sampling import Sampling, sample
from truing.prompts.variants import Context
from truing.rewards.best_of_n import NO_LIKELIHOODS
from truing.statistics.best_of_n import kl_bound
from truing.types import Case, Completion, Unscored

_Asked = tuple[tuple[str, ...], tuple[int, ...], float, bool]


@dataclass
class LocalRespondent:
    """A candidate that is measured. Each answer is given once, whichever evaluations look at it.

    There are two numeric paths, since their figures differ. Without a `variant` the candidate is asked
    as training asks it (the very tokens of `Renderer`), all cases in one plan of passes: so a run is
    measured. With one, context and continuation are cut by the rule of lm-evaluation-harness (a chat
    header's line break belongs to the continuation, and its likelihood counts), so that figures can be
    held against others', and passes are planned so that those interrupted can be gone on with.
    Neither tokens nor packs are the same: one path would change the figures of runs or of evaluations.
    """

    candidate: Candidate
    name: str = ""
    variant: StoredVariant | None = None
    computed: Computed = field(default_factory=Computed)
    lacks: Mapping[Ability, str] = field(default_factory=dict)
    hint: str = HINT
    _answers: dict[_Asked, list[Completion | Unscored]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Called as its candidate, unless it has a name of its own."""
        self.name = self.name or self.candidate.name
        if chooser := self.candidate.best_of_n:
            bound = f"it is {kl_bound(chooser.n):.2f} nats from what it draws, at most"
            self.lacks = {
                "likelihoods": NO_LIKELIHOODS,
                "distributions": f"{NO_LIKELIHOODS}; {bound}",
                **self.lacks,
            }

    @property
    def seed(self) -> int:
        """The candidate's."""
        return self.candidate.seed

    @property
    def prompt_name(self) -> str:
        """The variant's name; 'own' without one."""
        return self.variant.prompt.name if self.variant else "own"

    def answer(
        self,
        cases: Sequence[Case],
        max_new_tokens: Longest,
        *,
        temperature: float = 0.0,
        tokens: bool = False,
        advance: Advance = silent,
    ) -> list[Completion | Unscored]:
        """See Respondent. Greedy answers under a variant are kept on disk, without their tokens."""
        greedy = temperature == 0.0 and self.candidate.best_of_n is None
        stored = self.variant is not None and greedy and not tokens
        longest = of_each(max_new_tokens, cases)
        key = (tuple(case.id for case in cases), tuple(longest), temperature, stored)
        if key not in self._answers:
            self._answers[key] = (
                self._stored(cases, longest, advance)
                if stored
                else self._sampled(cases, longest, temperature, advance)
            )
        return self._answers[key]

    def _stored(
        self, cases: Sequence[Case], longest: Sequence[int], advance: Advance
    ) -> list[Completion | Unscored]:
        assert self.variant is not None
        written = variant_answers(self.candidate, self.variant, cases, longest, advance)
        self.computed.answers += written.computed
        return written.completions

    def _sampled(
        self, cases: Sequence[Case], longest: Sequence[int], temperature: float, advance: Advance
    ) -> list[Completion | Unscored]:
        done = 0

        def finished(rows: int) -> None:
            nonlocal done
            done += rows
            advance(done)

        candidate = self.candidate
        if self.variant is None:
            sampled, tokens = answers_and_tokens(
                candidate, cases, longest, temperature=temperature, progress=finished
            )
            self.computed.tokens += tokens
            return [*sampled]
        prompts, stop = prompts_under(candidate, self.variant, cases)
        room, both = candidate.model.context_length, list(zip(prompts, longest, strict=True))
        answers: list[Completion | Unscored] = [
            no_room(len(prompt), most, room) for prompt, most in both
        ]
        fitting = [n for n, (prompt, most) in enumerate(both) if len(prompt) + most <= room]
        completions, tokens = drawn(
            candidate,
            [cases[place] for place in fitting],
            [prompts[place] for place in fitting],
            stop,
            [longest[place] for place in fitting],
            temperature,
            progress=finished,
        )
        self.computed.tokens += tokens
        for place, completion in zip(fitting, completions, strict=True):
            answers[place] = completion
        return answers

    def draw(
        self, cases: Sequence[Case], max_new_tokens: int, samples: int, temperature: float
    ) -> list[list[Completion] | Unscored]:
        """Many answers to each case, each drawn for itself; unscored where a prompt is too long."""
        candidate, longest = self.candidate, self.candidate.model.context_length
        if self.variant is None:
            prompts, stop = self.prompts(cases), candidate.renderer.stop
        else:
            prompts, stop = prompts_under(candidate, self.variant, cases)
        fitting = [prompt for prompt in prompts if len(prompt) <= longest - max_new_tokens]
        sampling = Sampling(max_new_tokens, temperature, candidate.seed, stop)
        sampled = sample(candidate.model, fitting, samples, sampling)
        self.computed.tokens += sampled.tokens
        drawn = iter(sampled.completions)
        return [
            next(drawn)
            if len(p) <= longest - max_new_tokens
            else no_room(len(p), max_new_tokens, longest)
            for p in prompts
        ]

    def prompts(self, cases: Sequence[Case]) -> list[list[int]]:
        """The tokens that the answer to each case goes on from."""
        candidate = self.candidate
        if self.variant is None:
            return [candidate.renderer.case_tokens(candidate.prompt, case) for case in cases]
        return prompts_under(candidate, self.variant, cases)[0]

    def choose(
        self, cases: Sequence[Case], advance: Advance = silent
    ) -> list[Choices | Lettered | Unscored]:
        """See Respondent: log-likelihoods of the given answers."""
        if reason := self.lacks.get("likelihoods"):
            return [Unscored(reason)] * len(cases)
        if self.variant is None:
            candidate = self.candidate
            return [*score_choices(candidate.renderer, candidate.prompt, cases)]
        scored = variant_choices(self.candidate, self.variant, cases, advance)
        self.computed.choices += scored.computed
        return scored.choices

    def continued(
        self, asked: Sequence[Continued], advance: Advance = silent
    ) -> list[tuple[float, ...] | Unscored]:
        """See Respondent."""
        if reason := self.lacks.get("likelihoods"):
            return [Unscored(reason)] * len(asked)
        scored = continued_scores(self.candidate, self.variant, asked, advance)
        self.computed.choices += scored.computed
        return scored.scores

    def contexts(self, cases: Sequence[Case]) -> tuple[Context, ...]:
        """See Respondent; nothing where the candidate is asked as training asks it."""
        return tuple(rendered(self.candidate, self.variant, cases)) if self.variant else ()

    def about(self) -> dict[str, Any]:
        """Size, architecture, the hash of the weights, the candidate's prompt, how it was scored."""
        about = self.candidate.model.about()
        return {
            "parameters": about["parameters"],
            "architecture": about["architecture"],
            "weights": self.variant.weights if self.variant else "unknown",
            "prompt": self.candidate.prompt.id,
            "scored": about["scored"],
        }
