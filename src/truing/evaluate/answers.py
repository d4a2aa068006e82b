"""Free answers: what a candidate says when asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from truing.candidates import Candidate
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
    """One answer to each case: the likeliest token each time, or drawn at a temperature."""
    renderer = candidate.renderer
    sampling = Sampling(max_new_tokens, temperature, candidate.seed, renderer.stop)
    prompts = [renderer.case_tokens(candidate.prompt, case) for case in cases]
    sampled = sample(candidate.model, prompts, 1, sampling, progress)
    return [completions[0] for completions in sampled.completions]
