"""Texts with what may follow them, word for word: what a respondent is asked where no case is answered.

A prompt's instruction and demonstrations stand before the text, a paragraph each. It goes through a chat
template only in the chat form, as the user's message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.candidates import Candidate
from truing.evaluate.respondent import Advance, Continued, silent
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_choices import beyond, stored_totals
from truing.prompts.boundary import scoring_request
from truing.prompts.rendering import Prompt, Renderer
from truing.prompts.variants import OWN, PromptVariant
from truing.types import Unscored


@dataclass(frozen=True)
class ContinuedScores:
    """Log-probabilities of each text's continuations, or why there are none; how many were computed."""

    scores: list[tuple[float, ...] | Unscored]
    computed: int


def text_behind(variant: PromptVariant, own: Prompt, text: str) -> str:
    """A text behind a prompt variant, without a chat template; `own` is the candidate's prompt."""
    if variant.template:
        return variant.filled(text)
    *before, last = Renderer.messages(variant.own(own), text)
    earlier = [Renderer.plain_conversation(before)] if before else []
    return "\n\n".join([*earlier, last["content"]])


def continued_scores(
    candidate: Candidate,
    variant: StoredVariant | None,
    asked: Sequence[Continued],
    advance: Advance = silent,
) -> ContinuedScores:
    """Scores every continuation of every text; under a variant those that the store has aren't computed
    again. A text that the model's context can't hold is unscored."""
    model = candidate.model
    requests = [
        scoring_request(model.tokenizer, _context(candidate, variant, each.text), each.behind)
        for each in asked
    ]
    too_long = [beyond(request, model.context_length) for request in requests]
    fitting = [r for r, reason in zip(requests, too_long, strict=True) if reason is None]
    if variant is None:
        totals = [[scored.total for scored in each] for each in model.score(fitting)]
        computed = sum(map(len, totals))
    else:
        totals, computed = stored_totals(candidate, variant, fitting, advance)
    scored = iter(totals)
    return ContinuedScores([reason or tuple(next(scored)) for reason in too_long], computed)


def _context(candidate: Candidate, variant: StoredVariant | None, text: str) -> str:
    if variant is not None and variant.form == "chat":
        context = variant.prompt.context(candidate.renderer, candidate.prompt, text, "chat")
        return context.text + context.closing
    prompt = variant.prompt if variant else PromptVariant(OWN)
    return text_behind(prompt, candidate.prompt, text)
