"""Whether a run's texts fit the model's context: told before any time is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from truing.methods import chosen
from truing.methods.setup import Setup
from truing.runs.run import Run
from truing.types import Case, InputError

SLACK = 16  # tokens that a tokenizer may add between texts


def check_lengths(run: Run, setup: Setup) -> None:
    """Raises InputError naming the first text that doesn't fit with the longest answer to it, or saying
    why a method has nothing to learn from.

    Texts so short that they must fit, since a token takes at least a byte, aren't tokenised.
    """
    for method in chosen(setup.spec):
        method.check_texts(setup)
    renderer, prompt = setup.renderer, setup.base_prompt
    model = renderer.model
    frame = len(renderer.tokens(prompt, "")) + SLACK
    for case, answers, new_tokens in _texts(run, setup):
        longest = max((len(answer.encode()) for answer in answers), default=0)
        most = frame + len(case.prompt.encode()) + max(longest, new_tokens)
        if not case.messages and most <= model.context_length:  # a turn has a frame of its own
            continue
        try:
            tokens = len(renderer.case_tokens(prompt, case))
            own = [len(renderer.answer_tokens(answer, end=True)) for answer in answers]
            what = f"prompt {case.prompt[:60]!r} with an answer"
            model.check_length(tokens + max([new_tokens, *own]), what)
        except InputError as error:
            where = f"{case.source}: " if setup.texts.prompts else ""
            raise InputError(f"{where}{error}") from None


def _texts(run: Run, setup: Setup) -> Iterator[tuple[Case, Sequence[str], int]]:
    """Cases, answers to them that are read, and how many tokens are sampled at most."""
    spec = setup.spec
    if "rl" in spec.methods:
        for case in setup.rollout_prompts:
            yield case, (), spec.rl.max_new_tokens
    for case in setup.train:
        yield case, (*case.correct_answers, *case.incorrect_answers), 0
    if run.kind == "align":
        for case in (*setup.held_out, *setup.controls):
            answers = (*case.correct_answers, *case.incorrect_answers)
            yield case, answers, spec.evaluation.max_new_tokens
