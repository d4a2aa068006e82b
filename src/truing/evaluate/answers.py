"""Free answers: what a candidate says when asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from truing.candidates import Candidate
from truing.evaluate.respondent import Longest, of_each
from truing.models.sampling import Sampling, sample
from truing.types import Case, Completion

Progress = Callable[[int], None]


def free_answers(
    candidate: Candidate,
    cases: Sequence[Case],
    max_new_tokens: int,
    *,
    temperature: float = 0.0,
    progress: Progress = lambda rows: None,
) -> list[Completion]:
    """One answer to each case: the likeliest token each time, or drawn at a temperature.

    A candidate that chooses among answers does so at temperature 0; what is drawn at another is what it
    would choose from.
    """
    return answers_and_tokens(
        candidate, cases, max_new_tokens, temperature=temperature, progress=progress
    )[0]


def answers_and_tokens(
    candidate: Candidate,
    cases: Sequence[Case],
    max_new_tokens: Longest,
    *,
    temperature: float = 0.0,
    progress: Progress = lambda rows: None,
) -> tuple[list[Completion], int]:
    """The same, and how many tokens were sampled for them."""
    renderer = candidate.renderer
    prompts = [renderer.case_tokens(candidate.prompt, case) for case in cases]
    return drawn(
        candidate, cases, prompts, renderer.stop, max_new_tokens, temperature, progress=progress
    )


def drawn(
    candidate: Candidate,
    cases: Sequence[Case],
    prompts: Sequence[Sequence[int]],
    stop: str,
    max_new_tokens: Longest,
    temperature: float,
    *,
    progress: Progress = lambda rows: None,
) -> tuple[list[Completion], int]:
    """The same for cases that are tokens already: one of `prompts` each; `stop` ends an answer."""
    chooser = candidate.best_of_n if temperature == 0 else None
    drawn_at, samples = (chooser.temperature, chooser.n) if chooser else (temperature, 1)
    longest = of_each(max_new_tokens, cases)
    sampling = Sampling(max(longest, default=1), drawn_at, candidate.seed, stop)
    sampled = sample(candidate.model, prompts, samples, sampling, progress, longest=longest)
    if chooser:
        return chooser.best(cases, sampled.completions), sampled.tokens
    return [completions[0] for completions in sampled.completions], sampled.tokens
