"""Multiple-choice scores of one candidate under one prompt variant, remembered on disk as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from truing.candidates import Candidate
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.respondent import Advance, silent
from truing.evaluate.variant import StoredVariant, rendered
from truing.models.engine.packing import packs
from truing.models.engine.tree import PromptWithContinuations, SharedPrefix
from truing.models.memo.scores import score_key
from truing.models.precision import numerics
from truing.models.scoring import Scored, score_each
from truing.prompts.boundary import scoring_request
from truing.types import Case, Unscored


@dataclass(frozen=True)
class Scoring:
    """The choices of each case, or why there are none; and how many answers were new to the store."""

    choices: list[Choices | Lettered | Unscored]
    computed: int


def variant_choices(
    candidate: Candidate, variant: StoredVariant, cases: Sequence[Case], advance: Advance = silent
) -> Scoring:
    """Scores every answer of every case; those that the store has aren't computed again.

    Passes are planned over all cases and stored whole, so that a run that was interrupted makes the
    same passes as one that wasn't, and gives the same bytes. A case whose text is longer than the
    model's context is unscored. `advance` hears how many cases are done. Raises InputError where the
    wording can't be rendered.
    """
    model = candidate.model
    requests: list[PromptWithContinuations] = []
    too_long: dict[int, Unscored] = {}
    contexts = rendered(candidate, variant, cases)
    for number, (case, context) in enumerate(zip(cases, contexts, strict=True)):
        answers = [*case.correct_answers, *case.incorrect_answers]
        behind = [context.delimiter + answer for answer in answers]
        requests.append(scoring_request(model.tokenizer, context.text + context.closing, behind))
        if reason := beyond(requests[-1], model.context_length):
            too_long[number] = reason
    fitting = [made for number, made in enumerate(requests) if number not in too_long]
    totals, computed = stored_totals(candidate, variant, fitting, advance)
    scored = iter(totals)
    return Scoring(
        [
            too_long[number] if number in too_long else _choices(case, next(scored))
            for number, case in enumerate(cases)
        ],
        computed,
    )


def beyond(made: PromptWithContinuations, context_length: int) -> Unscored | None:
    """Why a text with its longest continuation can't be read; None where it can."""
    # The last token is only predicted, never read.
    tokens = len(made.prompt) + max(map(len, made.continuations)) - 1
    if tokens <= context_length:
        return None
    return Unscored(
        f"too long: {tokens} tokens with its longest answer, the model's context holds {context_length}"
    )


def _choices(case: Case, totals: Sequence[float]) -> Choices:
    true = len(case.correct_answers)
    return Choices(tuple(totals[:true]), tuple(totals[true:]))


def stored_totals(
    candidate: Candidate,
    variant: StoredVariant,
    requests: Sequence[PromptWithContinuations],
    advance: Advance,
) -> tuple[list[list[float]], int]:
    """The sum of each continuation's log-probabilities, and how many had to be computed: those that the
    store has aren't."""
    model, plan = candidate.model, _Plan(variant, requests, advance)

    @cache
    def shared_prefix() -> SharedPrefix | None:
        # Of all prompts, so that no pass depends on what the store knows.
        return model.shared_prefix([r.prompt for r in requests])

    for number, found in score_each(model, plan.missing(), shared_prefix):
        plan.add(number, found)
    return plan.totals(), plan.computed


class _Plan:
    """The packs that requests make, and what is known of each; several may be computed at once."""

    def __init__(
        self,
        variant: StoredVariant,
        requests: Sequence[PromptWithContinuations],
        advance: Advance,
    ) -> None:
        self.variant, self.advance = variant, advance
        self.packs = list(packs(requests, nested=True))
        self.keys: list[list[list[bytes]]] = []  # of each pack's continuations, by request
        self.known: dict[bytes, float] = {}
        self.coming: set[bytes] = set()  # what packs that were handed out will add
        self.asked: list[tuple[list[list[bytes]], set[bytes], int]] = []
        self.computed = self.done = 0

    def missing(self) -> Iterator[list[PromptWithContinuations]]:
        """Of each pack the requests that have to be computed. What an earlier pack computes isn't asked
        for again, whether or not it is through: so a pack is the same, however many run at once."""
        known, coming, precision = self.known, self.coming, numerics(self.variant.dtype)
        for pack in self.packs:
            keys = [
                [score_key(self.variant.weights, precision, r.prompt, c) for c in r.continuations]
                for r in pack
            ]
            self.keys.append(keys)
            flat = [key for row in keys for key in row]
            known.update(self.variant.scores.known(flat))
            new = {key for key in flat if key not in known and key not in coming}
            places = [place for place, row in enumerate(keys) if not new.isdisjoint(row)]
            if not places:
                self._advance(len(pack))
                continue
            coming |= new
            self.asked.append(([keys[place] for place in places], new, len(pack)))
            yield [pack[place] for place in places]

    def add(self, number: int, found: Sequence[Sequence[Scored]]) -> None:
        """Stores what the pack of this number gave, whole."""
        rows, new, requests = self.asked[number]
        fresh = {
            key: scored.total
            for row, scores in zip(rows, found, strict=True)
            for key, scored in zip(row, scores, strict=True)
            if key in new
        }
        self.variant.scores.add(fresh)
        self.known |= fresh
        self.coming -= fresh.keys()
        self.computed += len(fresh)
        self._advance(requests)

    def _advance(self, requests: int) -> None:
        self.done += requests
        self.advance(self.done)

    def totals(self) -> list[list[float]]:
        """The sums of each request, once all packs are through."""
        return [[self.known[key] for key in row] for keys in self.keys for row in keys]
