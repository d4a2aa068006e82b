"""What goes through a model in one pass: neighbouring branches whose tokens fill it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from truing.models.engine.tree import Branch, common_prefix

PACK_TOKENS = 4096  # tokens in one forward pass: enough to keep the matrix products busy
HIDDEN_TOKENS = 1024  # the same for hidden states alone: activations fit the cache (see LOG.md)


def packs(branches: Sequence[Branch], size: int = PACK_TOKENS) -> Iterator[list[Branch]]:
    """Consecutive branches whose tokens fill one forward pass (a single branch may exceed it).

    What all prompts of a pack begin with counts once, as it is computed once.
    """
    pack: list[Branch] = []
    alone, shared = 0, 0  # tokens of the pack without sharing; tokens that all its prompts share
    for branch in branches:
        length = len(branch.prompt) + sum(map(len, branch.continuations))
        common = len(branch.prompt)
        if pack:
            common = min(shared, common_prefix([pack[0].prompt, branch.prompt]))
        if pack and alone + length - common * len(pack) > size:
            yield pack
            pack, alone, common = [], 0, len(branch.prompt)
        pack.append(branch)
        alone, shared = alone + length, common
    if pack:
        yield pack
