"""A text too long for one pass, a piece at a time: memory grows with its length, never with the square.

A piece's tokens see all earlier ones, whose keys and values are kept, without a mask where the kernel
allows; what a mask is needed for is cut so that no matrix of scores has more than `MASKED` numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from truing.models.engine.attention import (
    MASKED,
    AttentionPlan,
    ScoreRule,
    can_join,
    grouped_attention,
    joined_attention,
    seen_before,
)
from truing.models.engine.packing import PACK_TOKENS
from truing.models.engine.projection import frozen_token_log_probs
from truing.models.engine.tree import CPU, PromptWithContinuations, SharedPrefix, Tokens

PIECE = 1024
"""Tokens of one pass: activations fit the cache (see packing.py)."""


class Hidden(Protocol):
    """A model up to its last norm."""

    def __call__(
        self,
        tokens_N: Tensor,
        positions_N: Tensor,
        plan: AttentionPlan,
        only_M: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (N, E) of tokens at positions under a plan; of the tokens `only_M` alone (M, E)
        where it is given."""
        ...


class LongRow:
    """The attention plan of one text's next tokens, on the model's device; keeps the keys and values
    (T, K, D) of all."""

    def __init__(self, tokens: int, device: torch.device = CPU) -> None:
        self._room = tokens
        self.device = device
        self.length = 0
        self.states: dict[int, tuple[Tensor, Tensor]] = {}

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        start, end = self.length, self.length + len(query_NHD)
        keys, values = self._put(layer, key_NKD, value_NKD)
        query_1HND = query_NHD.transpose(0, 1)[None]
        plain = rule.window is None and rule.softcap is None
        if start and plain and can_join(query_NHD.device):
            before = (keys[:start].transpose(0, 1), values[:start].transpose(0, 1))
            own = (key_NKD.transpose(0, 1)[None], value_NKD.transpose(0, 1)[None])
            seen_1NN = seen_before(0, 0, end - start, None, self.device)
            output = joined_attention(query_1HND, before, own, seen_1NN, rule)
        else:
            output = _masked(query_1HND, keys[:end], values[:end], start, rule)
        return output[0].transpose(0, 1)

    def _put(self, layer: int, key_NKD: Tensor, value_NKD: Tensor) -> tuple[Tensor, Tensor]:
        if layer not in self.states:
            shape = (self._room, *key_NKD.shape[1:])
            self.states[layer] = (key_NKD.new_empty(shape), value_NKD.new_empty(shape))
        for kept, new in zip(self.states[layer], (key_NKD, value_NKD), strict=True):
            kept[self.length : self.length + len(new)] = new
        return self.states[layer]


def _masked(
    query_1HND: Tensor, key_SKD: Tensor, value_SKD: Tensor, start: int, rule: ScoreRule
) -> Tensor:
    """Attention of the last N of S tokens, the first of them at `start`, so many at once as MASKED lets."""
    _, H, N, _ = query_1HND.shape
    outputs, place = [], 0
    while place < N:
        low = 0 if rule.window is None else max(0, start + place + 1 - rule.window)
        count = min(N - place, max(1, MASKED // (H * (start + N - low))))
        end = start + place + count
        outputs.append(
            grouped_attention(
                query_1HND[:, :, place : place + count],
                key_SKD[low:end].transpose(0, 1)[None],
                value_SKD[low:end].transpose(0, 1)[None],
                seen_before(start + place, low, end, rule.window, query_1HND.device),
                rule,
            )
        )
        place += count
    return torch.cat(outputs, dim=2)


def in_pieces(
    hidden: Hidden, row: LongRow, tokens: Tokens, most: int | None = None
) -> Iterator[Tensor]:
    """Hidden states (N, E) of a text, a piece after the other; `row` is filled on the way. `most` bounds
    the tokens of a piece further."""
    size = min(PIECE, most or PIECE)
    for start in range(0, len(tokens), size):
        piece = torch.tensor(tokens[start : start + size]).to(row.device)
        positions = torch.arange(start, start + len(piece), device=row.device)
        yield hidden(piece, positions, row)
        row.length += len(piece)


def long_prefix(
    hidden: Hidden, tokens: Tokens, device: torch.device = CPU, most: int | None = None
) -> SharedPrefix:
    """A long text run once for all that goes on behind it; `most` as for `in_pieces`."""
    row = LongRow(len(tokens), device)
    for _ in in_pieces(hidden, row, tokens, most):
        pass
    return SharedPrefix(tuple(tokens), row.states)


def is_long(request: PromptWithContinuations, known: int = 0, size: int | None = None) -> bool:
    """Whether a text of the request goes too far beyond `known` tokens for one pass of `size` tokens."""
    longest = max(map(len, request.continuations), default=0)
    return len(request.prompt) + longest - known > min(PACK_TOKENS, size or PACK_TOKENS)


def long_log_probs(
    hidden: Hidden,
    head: Callable[[Tensor], Tensor],
    softcap: float | None,
    request: PromptWithContinuations,
    device: torch.device = CPU,
    most: int | None = None,
) -> Iterator[Tensor]:
    """Log-probabilities (C,) of each continuation's tokens, every text run in pieces, without gradients.

    `head` and `softcap` as for `frozen_token_log_probs`, `most` as for `in_pieces`.
    """
    for continuation in request.continuations:
        tokens = [*request.prompt, *continuation[:-1]]
        targets = torch.tensor(continuation).to(device)
        row, found = LongRow(len(tokens), device), [torch.empty(0, device=device)]
        for hidden_NE in in_pieces(hidden, row, tokens, most):
            end = row.length + len(hidden_NE) - len(request.prompt) + 1  # of what is predicted
            if end <= 0:
                continue
            source_NE = hidden_NE[-end:]
            target_N = targets[end - len(source_NE) : end]
            every = torch.arange(len(target_N), device=device)
            found.append(frozen_token_log_probs(source_NE, head, every, target_N, softcap=softcap))
        yield torch.cat(found)
