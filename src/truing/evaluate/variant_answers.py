"""Free answers of one candidate under one prompt variant, remembered on disk as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from truing.candidates import Candidate
from truing.evaluate.respondent import Advance, Longest, of_each, silent
from truing.evaluate.variant import StoredVariant, rendered
from truing.models.memo.answers import Answer, answer_key
from truing.models.precision import numerics
from truing.models.sample_plan import ROWS
from truing.models.sampling import Batch, Sampling, sample_each
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
    model, longest = candidate.model, of_each(max_new_tokens, cases)
    prompts, stop = prompts_under(candidate, variant, cases)
    room, both = model.context_length, list(zip(prompts, longest, strict=True))
    answers: list[Answer | Unscored] = [no_room(len(prompt), most, room) for prompt, most in both]
    fitting = [n for n, (prompt, most) in enumerate(both) if len(prompt) + most <= room]
    fitting.sort(key=lambda place: -longest[place])  # a batch takes as many steps as its longest
    plan = _Plan(variant, prompts, longest, stop, fitting, advance)
    for number, sampled in sample_each(model, plan.missing()):
        plan.add(number, [only for [only] in sampled.completions])
    for place in fitting:
        answers[place] = plan.known[plan.keys[place]]
    return FreeAnswers(answers, plan.computed)


class _Plan:
    """The batches that prompts make, and what is known of each; several may be computed at once."""

    def __init__(
        self,
        variant: StoredVariant,
        prompts: Sequence[Sequence[int]],
        longest: Sequence[int],
        stop: str,
        places: Sequence[int],
        advance: Advance,
    ) -> None:
        self.store, self.prompts, self.longest, self.stop = variant.answers, prompts, longest, stop
        self.advance, self.computed, self.done = advance, 0, 0
        self.batches = [places[start : start + ROWS] for start in range(0, len(places), ROWS)]
        self.samplings = {most: Sampling(most, temperature=0.0, stop=stop) for most in longest}
        precision = numerics(variant.dtype)
        self.keys = {
            place: answer_key(
                variant.weights, precision, self.samplings[longest[place]], prompts[place]
            )
            for place in places
        }
        self.known: dict[bytes, Answer] = {}
        self.asked: list[tuple[list[bytes], int]] = []

    def missing(self) -> Iterator[Batch]:
        """Of each batch what has to be computed. What an earlier batch computes isn't asked for again,
        whether or not it is through: so a batch is the same, however many run at once."""
        coming: set[bytes] = set()
        for batch in self.batches:
            self.known |= self.store.known(list({self.keys[place]: None for place in batch}))
            new = {
                self.keys[place]: place
                for place in batch
                if self.keys[place] not in self.known and self.keys[place] not in coming
            }
            if not new:
                self._advance(len(batch))
                continue
            coming |= new.keys()
            self.asked.append((list(new), len(batch)))
            each = [self.longest[place] for place in new.values()]
            yield Batch(
                [self.prompts[place] for place in new.values()], each, self.samplings[max(each)]
            )

    def add(self, number: int, completions: Sequence[Completion]) -> None:
        """Stores what the batch of this number gave, whole."""
        keys, rows = self.asked[number]
        fresh = {
            key: cut_at(self.stop, completion.text, finished=completion.finished)
            for key, completion in zip(keys, completions, strict=True)
        }
        self.store.add(fresh)
        self.known |= fresh
        self.computed += len(fresh)
        self._advance(rows)

    def _advance(self, rows: int) -> None:
        self.done += rows
        self.advance(self.done)


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
