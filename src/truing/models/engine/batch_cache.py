"""Keys and values of a sampling batch: one copy of what rows share, one growing part for each row.

Rows are laid out as P prompts x S samples ("slots"). Three parts: the prefix common to all prompts
(one copy), each prompt's own tokens (one copy for its S samples) and each row's new tokens, for which
room is made a block at a time. Finished rows leave the packed row of queries at once, and leave the cache
when few enough are left.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from truing.models.engine.attention import ScoreRule
from truing.models.engine.prefill import Pair, Prompts
from truing.models.engine.projection import softcapped

BLOCK = 64
"""New tokens of a row that room is made for at once."""


def grown(states: Tensor, axis: int, most: int) -> Tensor:
    """The same with room for a block more along an axis, `most` at most."""
    shape = list(states.shape)
    shape[axis] = min(BLOCK, most - shape[axis])
    return torch.cat((states, states.new_zeros(shape)), dim=axis)


class _Layer:
    """Keys and values of one layer.

    prefix and prompts: keys (P, K, D, L) and values (P, K, L, D), as products of few queries are fastest
    (of the prefix P is 1, or it is None); own: keys and values (P S, K, T, D).
    """

    def __init__(self, prefix: Pair | None, prompts: Pair, slots: int) -> None:
        self.prefix = prefix
        self.prompts = prompts
        _, K, _, D = prompts[1].shape
        shape = (slots, K, 0, D)
        self.own = (prompts[0].new_zeros(shape), prompts[1].new_zeros(shape))


class Slots:
    """Which rows are live and where they stand; what a cache of any layout knows."""

    def __init__(self, prompts: Prompts, samples: int, max_new_tokens: int) -> None:
        self._device = prompts.hidden_PE.device
        self._most = max_new_tokens
        self.prefix_length = prompts.prefix_length
        self._prompt_lengths = prompts.lengths
        self.prompt_length_P = self._put(self._prompt_lengths)
        self.samples = samples
        self.step = 0
        self._masks: dict[int | None, Tensor] = {}
        self._lay_out(range(len(prompts.lengths) * samples))

    def _put(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.long).to(self._device)

    def _lay_out(self, slots: Sequence[int]) -> None:
        """`slots` are those of the live rows, in order; here too, so that no step waits for them."""
        self._live_slots = list(slots)
        self.slot_N = self._put(self._live_slots)

    @property
    def slots(self) -> int:
        """Rows that the cache has room for: P S."""
        return len(self.prompt_length_P) * self.samples

    def positions(self) -> Tensor:
        """Position of the token that each live row adds in this step: (N,)."""
        prompt_N = self.slot_N // self.samples
        return self.prefix_length + self.prompt_length_P[prompt_N] + self.step

    def to_queries(self, x_N: Tensor) -> Tensor:
        """What live rows have, as the queries of a step stand."""
        return x_N

    def of_live(self, x_N: Tensor) -> Tensor:
        """What queries have, of live rows alone."""
        return x_N

    def _mask(self, window: int | None) -> Tensor:
        """(P, 1, 1, 1, keys): 0, or -inf at keys that no row of a prompt may look at."""
        if window not in self._masks:
            P, now = len(self.prompt_length_P), self.step + 1
            L = max(self._prompt_lengths)
            prefix, length_P1 = self.prefix_length, self.prompt_length_P[:, None]
            own = prefix + length_P1 + torch.arange(now, device=self._device)
            in_prompt = torch.arange(L, device=self._device)
            shared = torch.arange(prefix, device=self._device).expand(P, prefix)
            position = torch.cat((shared, (prefix + in_prompt).expand(P, L), own), dim=1)
            hidden = torch.zeros_like(position, dtype=torch.bool)
            hidden[:, prefix : prefix + L] = in_prompt >= length_P1
            if window is not None:
                hidden |= position <= own[:, -1:] - window
            nothing = torch.zeros_like(position, dtype=torch.float32)
            mask = nothing.masked_fill(hidden, float("-inf"))
            self._masks[window] = mask[:, None, None, None]
        return self._masks[window]

    def advance(self) -> None:
        """Ends a step: the next token of each row comes one position later."""
        self.step += 1
        self._masks.clear()

    def keep(self, places: Sequence[int]) -> None:
        """Drops all rows but those at these places, in order."""
        if len(places) < len(self._live_slots):
            self._lay_out([self._live_slots[place] for place in places])
        if self._live_slots and len(self._live_slots) <= self.slots // 2:
            self._compact()

    def _compact(self) -> None:
        """Lays the live rows out anew as fewer prompts x fewer samples."""
        by_prompt: dict[int, list[int]] = {}
        for slot in self._live_slots:
            by_prompt.setdefault(slot // self.samples, []).append(slot)
        prompts, samples = sorted(by_prompt), max(map(len, by_prompt.values()))
        if len(prompts) * samples > self.slots * 3 // 4:
            return  # the live rows are spread evenly: nothing to gain yet
        old, slots = [], []
        for place, prompt in enumerate(prompts):
            own = by_prompt[prompt]
            slots += [place * samples + n for n in range(len(own))]
            old += own + [0] * (samples - len(own))
        self._lay_out(slots)
        self._masks.clear()
        prompt_P, old_S = self._put(prompts), self._put(old)
        self._prompt_lengths = [self._prompt_lengths[prompt] for prompt in prompts]
        self.prompt_length_P = self._put(self._prompt_lengths)
        self.samples = samples
        self._select(prompt_P, old_S)

    def _select(self, prompt_P: Tensor, old_S: Tensor) -> None:
        """Keeps these prompts, and these slots in order."""
        raise NotImplementedError


class SharedCache(Slots):
    """The attention plan of one sampling step: each of N live rows adds a token and looks back."""

    def __init__(self, prompts: Prompts, samples: int, max_new_tokens: int) -> None:
        super().__init__(prompts, samples, max_new_tokens)
        self._layers: dict[int, _Layer] = {}
        for layer in prompts.layers:
            prefix = prompts.prefix.get(layer)
            keys, values = prompts.take(layer)
            self._layers[layer] = _Layer(
                (_heads_first(prefix[0], turned=True), _heads_first(prefix[1])) if prefix else None,
                (_heads_first(keys, turned=True), _heads_first(values)),
                self.slots,
            )

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan. Row n's new token sees the prefix, its prompt and its own tokens."""
        cache = self._layers[layer]
        _, H, D = query_NHD.shape
        K = key_NKD.shape[1]
        P, S, G, now = len(self.prompt_length_P), self.samples, H // K, self.step + 1
        self._store(cache, key_NKD, value_NKD)
        query_PSKGD = (self._spread(query_NHD) * rule.scale).view(P, S, K, G, D)
        # What a prompt's samples share is read once for all of them, as more rows of queries.
        shared_PKQD = query_PSKGD.transpose(1, 2).reshape(P, K, S * G, D)
        own_keys, own_values = (kept[:, :, :now] for kept in cache.own)
        if own_keys.dtype == torch.bfloat16:  # whose products take three times as long over gaps
            own_keys = own_keys.contiguous()
        own_scores = query_PSKGD.flatten(0, 1) @ own_keys.transpose(2, 3)
        before = [cache.prompts] if cache.prefix is None else [cache.prefix, cache.prompts]
        scores = [(shared_PKQD @ keys).view(P, K, S, G, -1) for keys, _ in before]
        scores.append(own_scores.view(P, S, K, G, now).transpose(1, 2))
        weights = self._weights(torch.cat(scores, dim=-1), rule).to(value_NKD.dtype)
        *on_before, on_own = weights.split([part.shape[-1] for part in scores], dim=-1)
        own_output = on_own.transpose(1, 2).reshape(P * S, K, G, now) @ own_values
        output = own_output.view(P, S, K, G, D)
        for part, (_, values) in zip(on_before, before, strict=True):
            shared = part.flatten(2, 3) @ values
            output = output + shared.view(P, K, S, G, D).transpose(1, 2)
        return self._live(output.reshape(P * S, H, D))

    def _weights(self, scores: Tensor, rule: ScoreRule) -> Tensor:
        """Softmax in float32 over the keys that may be seen."""
        scores = softcapped(scores.float(), rule.softcap).add_(self._mask(rule.window))
        _, K, _, G, _ = scores.shape
        return rule.weights(scores, K, 1, G, 1)

    def _store(self, cache: _Layer, key_NKD: Tensor, value_NKD: Tensor) -> None:
        if cache.own[0].shape[2] == self.step:
            cache.own = (grown(cache.own[0], 2, self._most), grown(cache.own[1], 2, self._most))
        for kept, new in zip(cache.own, (key_NKD, value_NKD), strict=True):
            place = kept.select(2, self.step)
            if len(self._live_slots) == self.slots:
                place.copy_(new)
            else:
                place.index_copy_(0, self.slot_N, new)

    def _spread(self, x_NHD: Tensor) -> Tensor:
        """Live rows laid out as slots; the others are 0."""
        if len(self._live_slots) == self.slots:
            return x_NHD
        return x_NHD.new_zeros(self.slots, *x_NHD.shape[1:]).index_copy_(0, self.slot_N, x_NHD)

    def _live(self, x_SHD: Tensor) -> Tensor:
        return x_SHD if len(self._live_slots) == self.slots else x_SHD.index_select(0, self.slot_N)

    def _select(self, prompt_P: Tensor, old_S: Tensor) -> None:
        longest = max(self._prompt_lengths)
        for layer in self._layers.values():
            keys, values = layer.prompts
            layer.prompts = (keys[prompt_P, :, :, :longest], values[prompt_P, :, :longest])
            layer.own = (layer.own[0][old_S], layer.own[1][old_S])


def _heads_first(x: Tensor, *, turned: bool = False) -> Tensor:
    """(..., S, K, D) as contiguous (B, K, S, D), or (B, K, D, S); B = 1 where there is no leading axis."""
    x = x if x.dim() == 4 else x[None]
    return (x.permute(0, 2, 3, 1) if turned else x.transpose(1, 2)).contiguous()
