"""What goes through a model in one pass: neighbouring requests whose tokens fill it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from truing.models.engine.nesting import SAVED, common_prefix
from truing.models.engine.room import halves
from truing.models.engine.tree import PromptWithContinuations

PACK_TOKENS = 4096  # tokens in one forward pass: enough to keep the matrix products busy
HIDDEN_TOKENS = 1024  # the same for hidden states alone: activations fit the cache (see LOG.md)


def packs(
    requests: Sequence[PromptWithContinuations], size: int = PACK_TOKENS, *, nested: bool = False
) -> Iterator[list[PromptWithContinuations]]:
    """Consecutive requests whose tokens fill one forward pass (a single request may exceed it).

    What all prompts of a pack begin with counts once, as it is computed once; with `nested`, so does what
    a prompt and the one before it begin with, where that saves enough.
    """
    pack: list[PromptWithContinuations] = []
    alone, shared = 0, 0  # tokens of the pack without sharing; tokens that all its prompts share
    beginnings: list[int] = []  # tokens that a prompt shares with the one before it
    for request in requests:
        length = len(request.prompt) + sum(map(len, request.continuations))
        common, again = len(request.prompt), []
        if pack:
            common = min(shared, common_prefix([pack[0].prompt, request.prompt]))
            again = [common_prefix([pack[-1].prompt, request.prompt])] if nested else []
        once = common * len(pack) + sum(_worth(each - common) for each in [*beginnings, *again])
        if pack and alone + length - once > size:
            yield pack
            pack, beginnings, alone, common, again = [], [], 0, len(request.prompt), []
        pack.append(request)
        beginnings += again
        alone, shared = alone + length, common
    if pack:
        yield pack


def _worth(tokens: int) -> int:
    return tokens if tokens >= SAVED else 0


def shared_out(
    requests: Sequence[PromptWithContinuations], workers: int, most: int | None = None
) -> list[list[PromptWithContinuations]]:
    """Packs of about one size for as many workers, of `most` tokens together (without it, PACK_TOKENS).
    What prompts begin with alike counts as for `packs` with `nested`."""
    prompts = [request.prompt for request in requests]
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    own = sum(len(r.prompt) - shared + sum(map(len, r.continuations)) for r in requests)
    own -= sum(_worth(common_prefix(pair) - shared) for pair in pairwise(prompts))
    parts = max(1, -(-own // (most or PACK_TOKENS))) * workers
    return list(packs(requests, shared + -(-own // parts), nested=True))


def smaller(pack: Sequence[PromptWithContinuations]) -> list[list[PromptWithContinuations]]:
    """A pack in two: half the requests each, or half the continuations of a single one."""
    if len(pack) > 1:
        return halves(list(pack))
    (request,) = pack
    return [
        [PromptWithContinuations(request.prompt, part)] for part in halves(request.continuations)
    ]
