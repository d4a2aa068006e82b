"""Whether a run's texts fit the model's context: told before any time is spent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from truing.methods.setup import Workshop
from truing.types import Case, InputError

SLACK = 16  # tokens that a tokenizer may add between texts


def check_lengths(shop: Workshop) -> None:
    """Raises InputError naming the first text that doesn't fit with the longest answer to it.

    Texts so short that they must fit, since a token takes at least a byte, aren't tokenised.
    """
    renderer, prompt = shop.renderer, shop.base_prompt
    model = renderer.model
    frame = len(renderer.tokens(prompt, "")) + SLACK
    for case, answers, new_tokens in _texts(shop):
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
            where = f"{case.source}: " if shop.texts.prompts else ""
            raise InputError(f"{where}{error}") from None


def _texts(shop: Workshop) -> Iterator[tuple[Case, Sequence[str], int]]:
    """Cases, answers to them that are read, and how many tokens are sampled at most."""
    spec = shop.spec
    if "rl" in spec.approaches:
        for case in shop.asked:
            yield case, (), spec.rl.max_new_tokens
    for case in shop.train:
        yield case, (*case.correct_answers, *case.incorrect_answers), 0
    if shop.kind == "align":
        for case in (*shop.held_out, *shop.controls):
            answers = (*case.correct_answers, *case.incorrect_answers)
            yield case, answers, spec.evaluation.max_new_tokens
