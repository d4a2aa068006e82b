"""Prompts run before sampling: keys and values of all, the hidden state behind each.

What a pass holds is bounded: prompts go through in packs, one too long for a pass in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.models.engine.attention import ScoreRule
from truing.models.engine.long_rows import Hidden, LongRow, in_pieces, is_long, long_prefix
from truing.models.engine.nesting import common_prefix
from truing.models.engine.packing import PACK_TOKENS, packs
from truing.models.engine.tree import (
    PromptWithContinuations,
    SharedPrefix,
    Tokens,
    TokenTree,
)

LONG_PREFIX = 128  # a shorter common prefix is cheaper read once for each prompt than handled apart

Pair = tuple[Tensor, Tensor]


class Prefill:
    """The plan of a tree of prompts that also remembers keys and values (N, K, D) by layer."""

    def __init__(self, tree: TokenTree) -> None:
        self.tree = tree
        self.stored: dict[int, Pair] = {}

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        # Copies: they are views of what all heads have, several times as large.
        self.stored[layer] = (key_NKD.clone(), value_NKD.clone())
        return self.tree.attend(layer, query_NHD, key_NKD, value_NKD, rule)


@dataclass(frozen=True)
class _Part:
    """Keys and values (N, K, D) by layer of some prompts, and the places there of each prompt's own.

    `hangs_on`: for each prompt what it begins with like others, and how many of its places that has.
    """

    stored: dict[int, Pair]
    rows: list[list[int]]
    hangs_on: list[tuple[int, int]]

    @staticmethod
    def of(prefill: Prefill, before: range) -> _Part:
        """Of a tree that has been run; `before` are places that all prompts begin with."""
        tree = prefill.tree
        hangs_on = [
            (segment, len(before) + begun if begun else 0)
            for segment, begun in tree.prompt_beginnings()
        ]
        rows = [[*before, *places] for places in tree.prompt_places()]
        return _Part(prefill.stored, rows, hangs_on)


class Prompts:
    """P prompts that have been run.

    `prefix` holds keys and values (R, K, D) by layer of what all begin with, where that is long enough
    to be kept apart; `lengths` counts the tokens of each prompt behind it; `hidden_PE` is what the model
    makes of each prompt's last token.
    """

    def __init__(
        self,
        prefix: Mapping[int, Pair],
        prefix_length: int,
        parts: Sequence[_Part],
        hidden_PE: Tensor,
    ) -> None:
        self.prefix, self.prefix_length = prefix, prefix_length
        self.hidden_PE = hidden_PE
        self._parts = parts
        self.lengths = [len(row) for part in parts for row in part.rows]
        self.hangs_on = [
            ((number, segment), begun)
            for number, part in enumerate(parts)
            for segment, begun in part.hangs_on
        ]
        self._index: list[Tensor] | None = None

    @property
    def layers(self) -> list[int]:
        """Numbers of the layers that are still here."""
        return list(self._parts[0].stored)

    def take(self, layer: int) -> Pair:
        """Keys and values (P, L, K, D) of one layer, padded on the right; they aren't kept here."""
        if self._index is None:  # every layer asks for the same
            longest, device = max(self.lengths), self.hidden_PE.device
            self._index = [_padded(part.rows, longest).to(device) for part in self._parts]
        parts = [part.stored.pop(layer) for part in self._parts]
        keys, values = (
            [pair[which][index] for pair, index in zip(parts, self._index, strict=True)]
            for which in (0, 1)
        )
        return _together(keys), _together(values)

    def places(self, spans: Sequence[tuple[int, int, int]]) -> list[Tensor]:
        """For each part places (rows, L), padded on the right, of tokens of prompts: of prompt number p
        those from a to b for each (p, a, b), in the prompts' order."""
        longest = max((end - start for _, start, end in spans), default=0)
        by_part: list[list[list[int]]] = [[] for _ in self._parts]
        rows = [(number, row) for number, part in enumerate(self._parts) for row in part.rows]
        for prompt, start, end in spans:
            number, row = rows[prompt]
            by_part[number].append(row[start:end])
        return [_padded(of_part, longest) for of_part in by_part]

    def take_heads(self, layer: int, *places: Sequence[Tensor]) -> list[Pair]:
        """Keys and values (K, rows, L, D) of one layer at some `places`; they aren't kept here."""
        parts = [part.stored.pop(layer) for part in self._parts]
        return [
            (_of_heads([pair[0] for pair in parts], at), _of_heads([pair[1] for pair in parts], at))
            for at in places
        ]


def _together(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _of_heads(parts: Sequence[Tensor], places: Sequence[Tensor]) -> Tensor:
    """States (K, rows, L, D), heads first, of those (N, K, D) of each part at places (rows, L) there."""
    _, K, D = parts[0].shape
    sizes = [at.numel() for at in places]
    states = parts[0].new_empty(K, sum(sizes), D)
    for head, of_head in enumerate(states):
        for part, at, into in zip(parts, places, of_head.split(sizes), strict=True):
            if at.numel():
                torch.index_select(part[:, head].contiguous(), 0, at.flatten(), out=into)
    return states.view(K, sum(map(len, places)), places[0].shape[1], D)


def _padded(rows: Sequence[Sequence[int]], longest: int) -> Tensor:
    index = torch.zeros(len(rows), longest, dtype=torch.long)
    for place, row in enumerate(rows):
        index[place, : len(row)] = torch.tensor(row)
    return index


def run_prompts(
    hidden: Hidden, prompts: Sequence[Tokens], device: torch.device, size: int = PACK_TOKENS
) -> Prompts:
    """Runs prompts, about `size` tokens in a pass. What all begin with is run once."""
    requests = [PromptWithContinuations(prompt, ()) for prompt in prompts]
    if len(list(packs(requests, size, nested=True))) == 1 and not any(
        is_long(r, size=size) for r in requests
    ):
        return _in_one_pass(hidden, requests, device)
    shared = common_prefix(prompts) if len(prompts) > 1 else 0
    prefix = None
    if shared > LONG_PREFIX:
        prefix = long_prefix(hidden, tuple(prompts[0][:shared]), device, size)
    known = 0 if prefix is None else shared
    parts, last = [], []
    for pack in packs(requests, known + size, nested=True):
        if any(is_long(request, known, size) for request in pack):
            ran = [_one_long(hidden, request.prompt, known, device, size) for request in pack]
        else:
            ran = [_behind(hidden, pack, prefix, device)]
        parts += [part for part, _ in ran]
        last += [hidden_PE for _, hidden_PE in ran]
    return Prompts({} if prefix is None else prefix.states, known, parts, torch.cat(last))


def _in_one_pass(
    hidden: Hidden, requests: Sequence[PromptWithContinuations], device: torch.device
) -> Prompts:
    prefill = Prefill(TokenTree(requests, nested=True, device=device))
    tree = prefill.tree
    hidden_PE = hidden(tree.tokens_N, tree.positions_N, prefill, tree.prompt_last_P)
    apart = tree.prefix_length if tree.prefix_length > LONG_PREFIX else 0
    prefix = {n: (keys[:apart], values[:apart]) for n, (keys, values) in prefill.stored.items()}
    part = _Part.of(prefill, range(apart, tree.prefix_length))
    return Prompts(prefix if apart else {}, apart, [part], hidden_PE)


def _behind(
    hidden: Hidden,
    pack: Sequence[PromptWithContinuations],
    prefix: SharedPrefix | None,
    device: torch.device,
) -> tuple[_Part, Tensor]:
    prefill = Prefill(TokenTree(pack, nested=True, shared_prefix=prefix, device=device))
    tree = prefill.tree
    hidden_PE = hidden(tree.tokens_N, tree.positions_N, prefill, tree.prompt_last_P)
    before = range(tree.prefix_length if prefix is None else 0)
    return _Part.of(prefill, before), hidden_PE


def _one_long(
    hidden: Hidden, prompt: Tokens, known: int, device: torch.device, size: int
) -> tuple[_Part, Tensor]:
    row = LongRow(len(prompt), device)
    for hidden_NE in in_pieces(hidden, row, prompt, size):
        last_1E = hidden_NE[-1:]
    return _Part(row.states, [list(range(known, len(prompt)))], [(-1, 0)]), last_1E
