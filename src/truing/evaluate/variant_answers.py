"""Free answers of one candidate under one prompt variant, remembered on disk as they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.candidates import Candidate
from truing.evaluate.respondent import Advance, Longest, of_each, silent
from truing.evaluate.variant import StoredVariant, rendered
from truing.models.memo.answers import Answer, answer_key
from truing.models.precision import numerics
from truing.models.sampling import ROWS, Sampling, sample
from truing.prompts.boundary import prompt_tokens
from truing.types import Case, Completion, Unscored


@dataclass(frozen=True)
class FreeAnswers:
    """The answer to each case, or why there is none; and how many were new to the store."""

    answers: list[Answer | Unscored]
    computed: int

    @property
    def completions(self) -> list[Completion | Unscored]:
        """The same as sampled completions, whose tokens aren't known."""
        return [
            each if isinstance(each, Unscored) else Completion(each.text, (), (), each.finished)
            for each in self.answers
        ]


def variant_answers(
    candidate: Candidate,
    variant: StoredVariant,
    cases: Sequence[Case],
    max_new_tokens: Longest,
    advance: Advance = silent,
) -> FreeAnswers:
    """The likeliest token each time, up to the model's end token or, in plain text, a line break.

    Batches are planned over all cases and stored whole, so that a run that was interrupted makes the
    same passes as one that wasn't. A case whose prompt and answer don't fit the model's context is
    unscored. `advance` hears how many cases are done. Raises InputError where the wording can't be
    rendered.
    """
    model, store, longest = candidate.model, variant.answers, of_each(max_new_tokens, cases)
    prompts, stop = prompts_under(candidate, variant, cases)
    samplings = {most: Sampling(most, temperature=0.0, stop=stop) for most in longest}
    room, both = model.context_length, list(zip(prompts, longest, strict=True))
    answers: list[Answer | Unscored] = [no_room(len(prompt), most, room) for prompt, most in both]
    fitting = [n for n, (prompt, most) in enumerate(both) if len(prompt) + most <= room]
    fitting.sort(key=lambda place: -longest[place])  # a batch takes as many steps as its longest
    precision, computed = numerics(variant.dtype), 0
    for start in range(0, len(fitting), ROWS):
        batch = fitting[start : start + ROWS]
        keys = [
            answer_key(variant.weights, precision, samplings[longest[place]], prompts[place])
            for place in batch
        ]
        known = store.known(keys)
        missing = {key: place for key, place in zip(keys, batch, strict=True) if key not in known}
        if missing:
            asked = [prompts[place] for place in missing.values()]
            each = [longest[place] for place in missing.values()]
            sampled = sample(model, asked, 1, samplings[max(each)], longest=each)
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


def prompts_under(
    candidate: Candidate, variant: StoredVariant, cases: Sequence[Case]
) -> tuple[list[list[int]], str]:
    """The tokens of each case's prompt, and the text that ends an answer."""
    contexts = rendered(candidate, variant, cases)
    tokenizer = candidate.model.tokenizer
    # The stop text is the same for all cases: it follows from wording and form.
    stop = contexts[-1].stop if contexts else ""
    return [prompt_tokens(tokenizer, context.text) for context in contexts], stop


def no_room(prompt: int, max_new_tokens: int, context_length: int) -> Unscored:
    """Why there is no answer to a prompt of so many tokens."""
    return Unscored(
        f"too long: {prompt} tokens and {max_new_tokens} for the answer, the model's context "
        f"holds {context_length}"
    )


def cut_at(stop: str, text: str, *, finished: bool) -> Answer:
    """The answer up to the stop text; white space around it tells nothing."""
    before, found, _ = text.partition(stop) if stop else (text, "", "")
    return Answer(before.strip(), finished or bool(found))
