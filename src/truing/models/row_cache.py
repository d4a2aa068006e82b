"""Keys and values of texts that grow on their own, side by side, each at its own pace.

Where a batch of samples shares its prompts and its steps (cache.py), rows here come and go. A row's
numbers never depend on the others, to the last bit: each attends by itself, and prompts are computed
in pieces that begin at multiples of PIECE tokens, so that a piece kept from another prompt with the
same beginning is the very same numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from truing.models.attention import grouped_attention

PIECE = 32
"""Tokens of a prompt that are computed at once: as many as use the weights well."""
KEPT_TOKENS = 8192
"""Tokens of beginnings that are kept for later prompts."""

Pair = tuple[Tensor, Tensor]


class Row:
    """Keys and values of one text by layer, (1, K, room, D) each, of which `length` are filled."""

    def __init__(self) -> None:
        self.length = 0
        self._layers: dict[int, Pair] = {}

    def put(self, layer: int, key_1KTD: Tensor, value_1KTD: Tensor) -> Pair:
        """Writes T tokens behind `length`; gives all keys and values up to them, (1, K, S, D) each."""
        start, count = self.length, key_1KTD.shape[2]
        kept = self._layers.get(layer)
        if kept is None or kept[0].shape[2] < start + count:
            kept = self._grown(kept, start + count, key_1KTD)
            self._layers[layer] = kept
        keys, values = kept
        # Few and plain operators: this is done for every row in every layer of every step.
        keys.narrow(2, start, count).copy_(key_1KTD)
        values.narrow(2, start, count).copy_(value_1KTD)
        return keys.narrow(2, 0, start + count), values.narrow(2, 0, start + count)

    def _grown(self, kept: Pair | None, end: int, like_1KTD: Tensor) -> Pair:
        _, K, _, D = like_1KTD.shape
        grown = (like_1KTD.new_empty(1, K, 2 * end, D), like_1KTD.new_empty(1, K, 2 * end, D))
        for old, new in zip(kept or (), grown, strict=False):
            new[:, :, : self.length] = old[:, :, : self.length]
        return grown

    def take(self, start: int, end: int) -> dict[int, Pair]:
        """A copy of the keys and values of some tokens, by layer."""
        return {
            layer: (keys[:, :, start:end].clone(), values[:, :, start:end].clone())
            for layer, (keys, values) in self._layers.items()
        }

    def append(self, piece: dict[int, Pair]) -> None:
        """Adds what `take` gave."""
        for layer, (keys, values) in piece.items():
            self.put(layer, keys, values)
        self.length += next(iter(piece.values()))[0].shape[2]


class PiecePlan:
    """The attention plan of T tokens of one row's prompt: each sees the row up to itself."""

    def __init__(self, row: Row, tokens: int) -> None:
        self._row, self._tokens = row, tokens

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """See AttentionPlan."""
        keys, values = self._row.put(
            layer, key_NKD.transpose(0, 1)[None], value_NKD.transpose(0, 1)[None]
        )
        position_T1 = self._row.length + torch.arange(self._tokens)[:, None]
        place_S = torch.arange(keys.shape[2])
        allowed_TS = place_S <= position_T1
        if window is not None:
            allowed_TS &= place_S > position_T1 - window
        output = grouped_attention(
            query_NHD.transpose(0, 1)[None],
            keys,
            values,
            allowed_TS[None],
            scale=scale,
            softcap=softcap,
        )
        return output[0].transpose(0, 1)


class StepPlan:
    """The attention plan of one new token for each of some rows. Tokens beyond them see nothing."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """See AttentionPlan."""
        N, H, D = query_NHD.shape
        K = key_NKD.shape[1]
        queries = query_NHD.reshape(N, K, H // K, D).split(1)
        new = zip(key_NKD[:, :, None].split(1), value_NKD[:, :, None].split(1), strict=True)
        outputs = []
        for row, query_1KGD, (key, value) in zip(self._rows, queries, new, strict=False):
            keys, values = row.put(layer, key, value)
            if window is not None and keys.shape[2] > window:
                keys, values = keys[:, :, -window:], values[:, :, -window:]
            outputs.append(_look_back(query_1KGD, keys, values, scale, softcap))
        if len(outputs) < N:
            outputs.append(query_NHD.new_zeros(N - len(outputs), K, H // K, D))
        return torch.cat(outputs).view(N, H, D)


def _look_back(
    query_1KGD: Tensor, keys: Tensor, values: Tensor, scale: float, softcap: float | None
) -> Tensor:
    """Attention of one token, whose G heads for each key head stand as queries: (1, K, G, D)."""
    if softcap is None:
        return F.scaled_dot_product_attention(query_1KGD, keys, values, scale=scale)
    scores = (query_1KGD @ keys.transpose(2, 3)).float() * scale
    weights = (softcap * torch.tanh(scores / softcap)).softmax(-1)
    return weights.to(values.dtype) @ values


class Beginnings:
    """Whole pieces of earlier prompts, found by all tokens up to their end; the oldest leave."""

    def __init__(self, tokens: int = KEPT_TOKENS) -> None:
        self._most = tokens // PIECE
        self._pieces: OrderedDict[tuple[int, ...], dict[int, Pair]] = OrderedDict()

    def restore(self, row: Row, prompt: Sequence[int]) -> None:
        """Fills an empty row with the pieces at the prompt's beginning that are known.

        At least the last token is left to be computed, for the hidden state behind it.
        """
        while row.length + PIECE < len(prompt):
            key = tuple(prompt[: row.length + PIECE])
            if key not in self._pieces:
                return
            self._pieces.move_to_end(key)
            row.append(self._pieces[key])

    def remember(self, row: Row, prompt: Sequence[int]) -> None:
        """Keeps the row's last piece, where it is a whole one of the prompt."""
        key = tuple(prompt[: row.length])
        if self._most and row.length % PIECE == 0 and key not in self._pieces:
            self._pieces[key] = row.take(row.length - PIECE, row.length)
            while len(self._pieces) > self._most:
                self._pieces.popitem(last=False)
