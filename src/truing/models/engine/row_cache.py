"""Keys and values of texts that grow on their own, side by side, each at its own pace.

Where a batch of samples shares its prompts and its steps (cache.py), rows here come and go. A row's
numbers never depend on the others, to the last bit: each attends by itself, and where prompts are cut
into pieces follows from their tokens alone, so that a piece kept from another prompt with the same
beginning is the very same numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from truing.models.engine.attention import (
    ScoreRule,
    grouped_attention,
    seen_before,
)
from truing.models.engine.projection import softcapped

PIECE = 32
"""Tokens of a prompt that are computed at once: as many as use the weights well."""
BLOCK = 64
"""Tokens that a row gets room for at once."""
KEPT_BYTES = 256_000_000
"""Size of the prefixes that are kept for later prompts: 5,500 tokens of the default model."""

Pair = tuple[Tensor, Tensor]


class Row:
    """Keys and values of one text by layer, (1, K, room, D) each, of which `length` are filled."""

    def __init__(self) -> None:
        self.length = 0
        self._layers: dict[int, Pair] = {}

    def put(self, layer: int, key_1KTD: Tensor, value_1KTD: Tensor) -> Pair:
        """Writes T tokens behind `length`; gives all keys and values up to them, (1, K, S, D) each."""
        start, count = self.length, key_1KTD.shape[2]
        pair = self._layers.get(layer)
        if pair is None or pair[0].shape[2] < start + count:
            pair = self._grown(pair, start + count, key_1KTD)
            self._layers[layer] = pair
        keys, values = pair
        # Few and plain operators: this is done for every row in every layer of every step.
        keys.narrow(2, start, count).copy_(key_1KTD)
        values.narrow(2, start, count).copy_(value_1KTD)
        return keys.narrow(2, 0, start + count), values.narrow(2, 0, start + count)

    def _grown(self, pair: Pair | None, end: int, like_1KTD: Tensor) -> Pair:
        _, K, _, D = like_1KTD.shape
        room = -(-end // BLOCK) * BLOCK
        grown = (like_1KTD.new_empty(1, K, room, D), like_1KTD.new_empty(1, K, room, D))
        for old, new in zip(pair or (), grown, strict=False):
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
    """The attention plan of some tokens of one row's prompt: each sees the row up to itself."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        keys, values = self._row.put(
            layer, key_NKD.transpose(0, 1)[None], value_NKD.transpose(0, 1)[None]
        )
        seen_1TS = seen_before(self._row.length, 0, keys.shape[2], rule.window, keys.device)
        output = grouped_attention(query_NHD.transpose(0, 1)[None], keys, values, seen_1TS, rule)
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
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan."""
        N, H, D = query_NHD.shape
        K = key_NKD.shape[1]
        queries = query_NHD.reshape(N, K, H // K, D).split(1)
        new = zip(key_NKD[:, :, None].split(1), value_NKD[:, :, None].split(1), strict=True)
        outputs = []
        for row, query_1KGD, (key, value) in zip(self._rows, queries, new, strict=False):
            keys, values = row.put(layer, key, value)
            if rule.window is not None and keys.shape[2] > rule.window:
                keys, values = keys[:, :, -rule.window :], values[:, :, -rule.window :]
            outputs.append(_look_back(query_1KGD, keys, values, rule))
        if len(outputs) < N:
            outputs.append(query_NHD.new_zeros(N - len(outputs), K, H // K, D))
        return torch.cat(outputs).view(N, H, D)


def _look_back(query_1KGD: Tensor, keys: Tensor, values: Tensor, rule: ScoreRule) -> Tensor:
    """Attention of one token, whose G heads for each key head stand as queries: (1, K, G, D)."""
    if rule.plain:
        return F.scaled_dot_product_attention(query_1KGD, keys, values, scale=rule.scale)
    scores = (query_1KGD @ keys.transpose(2, 3)).float() * rule.scale
    weights = rule.weights(softcapped(scores, rule.softcap), *query_1KGD.shape[1:3], 1)
    return weights.to(values.dtype) @ values


class PrefixCache:
    """How prompts are cut into pieces, and the pieces of earlier ones; the oldest leave.

    Pieces have PIECE tokens and the last one what is left. A prompt that begins with the `shared_prefix`
    (what all conversations with a candidate begin with) is cut behind that first, so that it is computed
    once.
    """

    def __init__(self, shared_prefix: Sequence[int] = (), most_bytes: int = KEPT_BYTES) -> None:
        self._shared_prefix = tuple(shared_prefix)
        self._free = most_bytes
        self._pieces: OrderedDict[tuple[int, ...], dict[int, Pair]] = OrderedDict()

    def end(self, start: int, prompt: Sequence[int]) -> int:
        """Where the piece that begins at `start` ends: it follows from the prompt alone."""
        shared = len(self._shared_prefix)
        inside = start < shared < len(prompt) and tuple(prompt[:shared]) == self._shared_prefix
        return min(start + PIECE, shared if inside else len(prompt))

    def restore(self, row: Row, prompt: Sequence[int]) -> None:
        """Fills an empty row with the pieces at the prompt's beginning that are known.

        The last piece is left to be computed, for the hidden state behind it.
        """
        while (end := self.end(row.length, prompt)) < len(prompt):
            key = tuple(prompt[:end])
            if key not in self._pieces:
                return
            self._pieces.move_to_end(key)
            row.append(self._pieces[key])

    def remember(self, row: Row, start: int, prompt: Sequence[int]) -> None:
        """Keeps the row's last piece, from `start` on, unless it is the prompt's last."""
        key = tuple(prompt[: row.length])
        if row.length == len(prompt) or key in self._pieces:
            return
        self._pieces[key] = row.take(start, row.length)
        self._free -= _size(self._pieces[key])
        while self._free < 0:
            self._free += _size(self._pieces.popitem(last=False)[1])


def _size(piece: dict[int, Pair]) -> int:
    """Bytes of keys and values."""
    return sum(part.nbytes for pair in piece.values() for part in pair)
