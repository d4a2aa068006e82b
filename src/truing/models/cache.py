"""Keys and values of a sampling batch: one copy of what rows share, one growing part for each row.

Rows are laid out as P prompts x S samples ("slots"). Three parts: the prefix common to all prompts
(one copy), each prompt's own tokens (one copy for its S samples) and each row's new tokens. Finished
rows leave the packed row of queries at once, and leave the cache when few enough are left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from truing.models.tree import TokenTree


class Prefill:
    """The plan of a tree of prompts that also remembers keys (K, N, D) and values by layer."""

    def __init__(self, tree: TokenTree) -> None:
        self.tree = tree
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}

    def attend(
        self,
        layer: int,
        query_HND: Tensor,
        key_KND: Tensor,
        value_KND: Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """See AttentionPlan."""
        self.keys[layer], self.values[layer] = key_KND, value_KND
        return self.tree.attend(
            layer, query_HND, key_KND, value_KND, scale=scale, window=window, softcap=softcap
        )


class _Layer:
    """Keys and values of one layer: prefix (1, K, R, D), prompts (P, K, L, D), own (P S, K, T, D)."""

    def __init__(
        self, prefix: tuple[Tensor, Tensor], prompts: tuple[Tensor, Tensor], slots: int, length: int
    ) -> None:
        self.prefix = prefix
        self.prompts = prompts
        _, K, _, D = prompts[0].shape
        shape = (slots, K, length, D)
        self.own = (prompts[0].new_zeros(shape), prompts[1].new_zeros(shape))


class SharedCache:
    """The attention plan of one sampling step: each of N live rows adds a token and looks back."""

    def __init__(self, prefill: Prefill, samples: int, max_new_tokens: int) -> None:
        tree = prefill.tree
        spans = tree.prompt_spans()
        prefix, longest = tree.prefix_length, max(length for _, length in spans)
        P = len(spans)
        index = torch.zeros(P, longest, dtype=torch.long)
        for row, (start, length) in enumerate(spans):
            index[row, :length] = torch.arange(start, start + length)
        self.prefix_length = prefix
        self.prompt_length_P = torch.tensor([length for _, length in spans])
        self.samples = samples
        self.step = 0
        self.slot_N = torch.arange(P * samples)
        self._layers: dict[int, _Layer] = {}
        for layer, keys in prefill.keys.items():
            values = prefill.values[layer]
            self._layers[layer] = _Layer(
                (keys[None, :, :prefix], values[None, :, :prefix]),
                (keys[:, index].transpose(0, 1), values[:, index].transpose(0, 1)),
                P * samples,
                max_new_tokens,
            )

    @property
    def slots(self) -> int:
        """Rows that the cache has room for: P S."""
        return len(self.prompt_length_P) * self.samples

    def positions(self) -> Tensor:
        """Position of the token that each live row adds in this step: (N,)."""
        prompt_N = self.slot_N // self.samples
        return self.prefix_length + self.prompt_length_P[prompt_N] + self.step

    def attend(
        self,
        layer: int,
        query_HND: Tensor,
        key_KND: Tensor,
        value_KND: Tensor,
        *,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        """See AttentionPlan. Row n's new token sees the prefix, its prompt and its own tokens."""
        cache = self._layers[layer]
        H, _, D = query_HND.shape
        K = key_KND.shape[0]
        P, S, G, now = len(self.prompt_length_P), self.samples, H // K, self.step + 1
        cache.own[0][self.slot_N, :, self.step] = key_KND.transpose(0, 1)
        cache.own[1][self.slot_N, :, self.step] = value_KND.transpose(0, 1)
        query_NHD = query_HND.transpose(0, 1)
        all_live = len(self.slot_N) == P * S
        slots = query_NHD if all_live else query_NHD.new_zeros(P * S, H, D)
        if not all_live:
            slots[self.slot_N] = query_NHD
        # One row of queries for every key head: samples and grouped heads side by side.
        query = slots.reshape(P, S, K, G, D).transpose(1, 2).reshape(P, K, S * G, D) * scale
        parts = (
            query @ cache.prefix[0].transpose(2, 3),
            query @ cache.prompts[0].transpose(2, 3),
            self._fold(self._unfold(query, S) @ cache.own[0][:, :, :now].transpose(2, 3), S),
        )
        scores = torch.cat(parts, dim=-1).float()
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        scores = scores.masked_fill(self._hidden(window)[:, None, None], float("-inf"))
        weights = scores.softmax(-1).to(value_KND.dtype)
        R, L = cache.prefix[1].shape[2], cache.prompts[1].shape[2]
        on_prefix, on_prompt, on_own = weights.split((R, L, now), dim=-1)
        output = on_prefix @ cache.prefix[1] + on_prompt @ cache.prompts[1]
        output += self._fold(self._unfold(on_own, S) @ cache.own[1][:, :, :now], S)
        rows = output.reshape(P, K, S, G, D).transpose(1, 2).reshape(P * S, H, D)
        live: Tensor = rows if all_live else rows[self.slot_N]
        return live

    @staticmethod
    def _unfold(x: Tensor, samples: int) -> Tensor:
        """(P, K, S G, X) to (P S, K, G, X)."""
        P, K, SG, X = x.shape
        split = x.reshape(P, K, samples, SG // samples, X).transpose(1, 2)
        return split.reshape(P * samples, K, SG // samples, X)

    @staticmethod
    def _fold(x: Tensor, samples: int) -> Tensor:
        """(P S, K, G, X) to (P, K, S G, X)."""
        PS, K, G, X = x.shape
        split = x.reshape(PS // samples, samples, K, G, X).transpose(1, 2)
        return split.reshape(PS // samples, K, samples * G, X)

    def _hidden(self, window: int | None) -> Tensor:
        """(P, R + L + step + 1) boolean: keys that no row of a prompt may look at."""
        P, now = len(self.prompt_length_P), self.step + 1
        L = int(next(iter(self._layers.values())).prompts[0].shape[2])
        prefix, length_P1 = self.prefix_length, self.prompt_length_P[:, None]
        own = prefix + length_P1 + torch.arange(now)
        in_prompt = torch.arange(L)
        shared = torch.arange(prefix).expand(P, prefix)
        position = torch.cat((shared, (prefix + in_prompt).expand(P, L), own), dim=1)
        hidden = torch.zeros(position.shape, dtype=torch.bool)
        hidden[:, prefix : prefix + L] = in_prompt >= length_P1
        if window is not None:
            hidden |= position <= own[:, -1:] - window
        return hidden

    def advance(self) -> None:
        """Ends a step: the next token of each row comes one position later."""
        self.step += 1

    def keep(self, live_N: Tensor) -> None:
        """Drops the rows where the boolean `live_N` is False."""
        self.slot_N = self.slot_N[live_N]
        if len(self.slot_N) and len(self.slot_N) <= self.slots // 2:
            self._compact()

    def _compact(self) -> None:
        """Lays the live rows out anew as fewer prompts x fewer samples."""
        prompt_N = self.slot_N // self.samples
        prompts, row_of_N, counts = prompt_N.unique(return_inverse=True, return_counts=True)
        samples = int(counts.max())
        if len(prompts) * samples > self.slots * 3 // 4:
            return  # the live rows are spread evenly: nothing to gain yet
        first = torch.cat((counts.new_zeros(1), counts.cumsum(0)[:-1]))
        place_N = torch.arange(len(self.slot_N)) - first[row_of_N]
        old = torch.zeros(len(prompts), samples, dtype=torch.long)
        old[row_of_N, place_N] = self.slot_N
        self.slot_N = row_of_N * samples + place_N
        self.prompt_length_P = self.prompt_length_P[prompts]
        self.samples = samples
        longest = int(self.prompt_length_P.max())
        for layer in self._layers.values():
            keys, values = layer.prompts
            layer.prompts = (keys[prompts, :, :longest], values[prompts, :, :longest])
            layer.own = (layer.own[0][old.flatten()], layer.own[1][old.flatten()])
