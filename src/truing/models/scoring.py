"""Scores of many continuations of many prompts, in packs that fit the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

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


def score_packs(
    model: LanguageModel, requests: _Pack, shared_prefix: SharedPrefix | None
) -> list[list[Scored]]:
    """See `LanguageModel.score`."""
    work = partial(_score_pack, model, shared_prefix)

    def fitting(pack: _Pack) -> list[Scored]:
        ran = in_room(work, pack, model.room, smaller)
        return [scored for part in ran for row in part for scored in row]

    order = neighbours([request.prompt for request in requests])
    in_order = [requests[number] for number in order]
    packs = shared_out(in_order, model.workers, model.pack_tokens)
    found = in_parallel(fitting, packs, model.workers)
    every = iter([scored for pack in found for scored in pack])
    rows = [[next(every) for _ in request.continuations] for request in in_order]
    by_number = dict(zip(order, rows, strict=True))
    return [by_number[number] for number in range(len(requests))]


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


def prefix_run_once(model: LanguageModel, prompts: Sequence[Tokens]) -> SharedPrefix | None:
    """See `LanguageModel.shared_prefix`."""
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    if model.unpacked or shared <= LONG_PREFIX:
        return None
    # It can't be split: passes of its pieces are what gets smaller.
    run = partial(_run_prefix, model)
    return in_room(run, tuple(prompts[0][:shared]), model.room, lambda whole: [whole])[0]


def _run_prefix(model: LanguageModel, tokens: tuple[int, ...]) -> SharedPrefix:
    if len(tokens) > (most := model.pack_tokens):
        return long_prefix(model.hidden, tokens, model.device, most)
    tree = TokenTree([PromptWithContinuations(tokens, ())], device=model.device)
    prefill = Prefill(tree)
    model.hidden(tree.tokens_N, tree.positions_N, prefill)
    return SharedPrefix(tokens, prefill.stored)
