"""Free answers of one candidate under one wording, remembered on disk as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from truing.evaluate.sweep.scores import HINT, Examinee
from truing.models.memo.answers import Answer, AnswerStore, answer_key
from truing.models.precision import computed_in
from truing.models.sampling import ROWS, Sampling, sample
from truing.prompts.boundary import prompt_tokens
from truing.prompts.wordings import Form, Wording
from truing.types import Case, Unscored


@dataclass(frozen=True)
class FreeAnswers:
    """The answer to each case, or why there is none; and how many were new to the store.

    `hint` says what would help where no case has one.
    """

    answers: list[Answer | Unscored]
    computed: int
    hint: str = HINT


def answers_under(
    examinee: Examinee,
    wording: Wording,
    form: Form,
    cases: Sequence[Case],
    max_new_tokens: int,
    store: AnswerStore,
    advance: Callable[[int], object] = lambda done: None,
) -> FreeAnswers:
    """The likeliest token each time, up to the model's end token or, in plain text, a line break.

    Batches are planned over all cases and stored whole, so that a run that was interrupted makes the
    same passes as one that wasn't. A case whose prompt and answer don't fit the model's context is
    unscored. `advance` hears how many cases are done. Raises InputError where the wording can't be
    rendered.
    """
    model, own = examinee.candidate.model, examinee.candidate.prompt
    prompts: list[list[int]] = []
    stop = ""
    for case in cases:
        context = wording.context(examinee.candidate.renderer, own, case.prompt, form)
        prompts.append(prompt_tokens(model.tokenizer, context.text))
        stop = context.stop  # the same for all cases: it follows from wording and form
    sampling = Sampling(max_new_tokens, temperature=0.0, stop=stop)
    room = model.context_length - max_new_tokens
    answers: list[Answer | Unscored] = [
        Unscored(
            f"too long: {len(prompt)} tokens and {max_new_tokens} for the answer, the model's context "
            f"holds {model.context_length}"
        )
        for prompt in prompts
    ]
    fitting = [place for place, prompt in enumerate(prompts) if len(prompt) <= room]
    precision, computed = computed_in(examinee.dtype), 0
    for start in range(0, len(fitting), ROWS):
        batch = fitting[start : start + ROWS]
        keys = [
            answer_key(examinee.weights, precision, sampling, prompts[place]) for place in batch
        ]
        known = store.known(keys)
        missing = {k: prompts[p] for k, p in zip(keys, batch, strict=True) if k not in known}
        if missing:
            sampled = sample(model, list(missing.values()), 1, sampling)
            fresh = {
                key: cut_at(stop, only.text, finished=only.finished)
                for key, [only] in zip(missing, sampled.completions, strict=True)
            }
            store.add(fresh)
            known |= fresh
            computed += len(fresh)
        for key, place in zip(keys, batch, strict=True):
            answers[place] = known[key]
        advance(start + len(batch))
    return FreeAnswers(answers, computed)


def cut_at(stop: str, text: str, *, finished: bool) -> Answer:
    """The answer up to the stop text; white space around it tells nothing."""
    before, found, _ = text.partition(stop) if stop else (text, "", "")
    return Answer(before.strip(), finished or bool(found))
