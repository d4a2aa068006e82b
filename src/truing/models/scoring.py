"""Scores of many continuations of many prompts, in packs that fit the memory.

Which packs there are follows from the requests, the size of a pass and how many run at once: whoever runs
a pack, in whatever order, with the threads that are its share, gets the same bits. Halves of one don't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from truing.models.engine.long_rows import is_long, long_prefix
from truing.models.engine.nesting import common_prefix, neighbours
from truing.models.engine.packing import shared_out, smaller
from truing.models.engine.prefill import Prefill
from truing.models.engine.room import in_room
from truing.models.engine.threads import in_parallel
from truing.models.engine.tree import (
    LONG_PREFIX,
    PromptWithContinuations,
    SharedPrefix,
    Tokens,
    TokenTree,
)

if TYPE_CHECKING:
    from truing.models.language_model import LanguageModel

_Pack = Sequence[PromptWithContinuations]


@dataclass(frozen=True)
class Scored:
    """Log-probabilities of the tokens of one continuation (nats)."""

    token_log_probs: Tensor

    @property
    def total(self) -> float:
        """Log-probability of the whole continuation, in float64. NaN where it has no token."""
        each = self.token_log_probs
        return float(each.double().sum()) if len(each) else float("nan")


@dataclass(frozen=True)
class ScorePlan:
    """The packs that requests are scored in; `together` of them run at once. `order` has the number of
    each packed request."""

    packs: Sequence[_Pack]
    order: Sequence[int]
    together: int

    @staticmethod
    def of(requests: _Pack, together: int, size: int) -> ScorePlan:
        """For passes of at most `size` tokens; requests that begin alike become neighbours."""
        order = neighbours([request.prompt for request in requests])
        packs = shared_out([requests[number] for number in order], together, size)
        return ScorePlan(packs, order, together)

    def in_order(self, found: Sequence[Sequence[Scored]]) -> list[list[Scored]]:
        """The scores of each request, in the order of the requests, from those of each pack."""
        every = iter([scored for pack in found for scored in pack])
        rows = [[next(every) for _ in each.continuations] for pack in self.packs for each in pack]
        by_number = dict(zip(self.order, rows, strict=True))
        return [by_number[number] for number in range(len(self.order))]


@torch.inference_mode()
def score_each(
    model: LanguageModel,
    batches: Iterable[_Pack],
    shared_prefix: Callable[[], SharedPrefix | None] = lambda: None,
) -> Iterator[tuple[int, list[list[Scored]]]]:
    """Batch by batch as `LanguageModel.score` does, with the batch's number: here in order, each begun
    when the one before was taken; elsewhere several at once, as they are finished."""
    plans: dict[int, ScorePlan] = {}  # until their scores are there

    def planned() -> Iterator[tuple[ScorePlan, SharedPrefix | None]]:
        for number, batch in enumerate(batches):
            prefix = shared_prefix() or model.shared_prefix([each.prompt for each in batch])
            plans[number] = ScorePlan.of(batch, model.workers, model.pack_tokens)
            yield plans[number], prefix

    if model.elsewhere is not None:
        for number, found in model.elsewhere.scored(planned()):
            yield number, plans.pop(number).in_order(found)
        return
    for number, (plan, prefix) in enumerate(planned()):
        work = partial(score_pack, model, prefix)
        yield number, plans.pop(number).in_order(in_parallel(work, plan.packs, plan.together))


def score_pack(
    model: LanguageModel, shared_prefix: SharedPrefix | None, pack: _Pack
) -> list[Scored]:
    """The scores of all continuations of one pack, one behind the other; where memory runs out, of
    smaller packs."""
    ran = in_room(partial(_score_pack, model, shared_prefix), pack, model.room, smaller)
    return [scored for part in ran for row in part for scored in row]


def _score_pack(
    model: LanguageModel, shared_prefix: SharedPrefix | None, pack: _Pack
) -> list[list[Scored]]:
    known = 0 if shared_prefix is None else len(shared_prefix.tokens)
    if not model.unpacked and any(is_long(request, known, model.pack_tokens) for request in pack):
        return [_score_long(model, request) for request in pack]
    tree = TokenTree(
        pack, merge=True, nested=True, shared_prefix=shared_prefix, device=model.device
    )
    log_probs_C = model.continuation_log_probs(tree).cpu()
    lengths = [len(c) for request in pack for c in request.continuations]
    pieces = iter(log_probs_C.split(lengths))
    return [[Scored(next(pieces)) for _ in request.continuations] for request in pack]


def _score_long(model: LanguageModel, request: PromptWithContinuations) -> list[Scored]:
    """The same for a text too long for one pass: what its continuations begin with is run once."""
    most = model.pack_tokens
    if not is_long(PromptWithContinuations((), request.continuations), size=most):
        before = long_prefix(model.hidden, request.prompt[:-1], model.device, most)
        return _score_pack(model, before, [request])[0]
    return [Scored(log_probs_C.cpu()) for log_probs_C in model.log_probs_in_pieces(request)]


def long_shared(prompts: Sequence[Tokens]) -> tuple[int, ...]:
    """The tokens that all prompts begin with; none where they are too few for a pass of their own."""
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    return tuple(prompts[0][:shared]) if shared > LONG_PREFIX else ()


def prefix_run_once(model: LanguageModel, prompts: Sequence[Tokens]) -> SharedPrefix | None:
    """See `LanguageModel.shared_prefix`."""
    return run_prefix(model, long_shared(prompts))


def run_prefix(model: LanguageModel, tokens: tuple[int, ...]) -> SharedPrefix | None:
    """What `long_shared` gives, run; None where that is nothing, or the model shares nothing."""
    if model.unpacked or not tokens:
        return None
    # It can't be split: passes of its pieces are what gets smaller.
    run = partial(_run_prefix, model)
    return in_room(run, tokens, model.room, lambda whole: [whole])[0]


def _run_prefix(model: LanguageModel, tokens: tuple[int, ...]) -> SharedPrefix:
    if len(tokens) > (most := model.pack_tokens):
        return long_prefix(model.hidden, tokens, model.device, most)
    tree = TokenTree([PromptWithContinuations(tokens, ())], device=model.device)
    prefill = Prefill(tree)
    model.hidden(tree.tokens_N, tree.positions_N, prefill)
    return SharedPrefix(tokens, prefill.stored)
