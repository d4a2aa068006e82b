"""Keys and values of a sampling batch: one copy of what rows share, one growing part for each row.

Rows are laid out as P prompts x S samples ("slots"). Four parts: the prefix common to all prompts (one
copy), what groups of prompts begin with (a copy each), each prompt's own tokens (one for its S samples) and
each row's new tokens, for which room is made a block at a time. Finished rows leave the packed row of
queries at once, and leave the cache when few enough are left.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from truing.models.engine.attention import ScoreRule
from truing.models.engine.beginnings import Beginnings, Gathering
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
    """Keys and values of one layer, heads first; keys (..., D, L) and values (..., L, D), as products of
    few queries are fastest.

    prefix (K, ...) of what all prompts begin with, beginnings (K M, ...) of what groups of prompts do; or
    None. prompts (K P, ...); own (K, P S, ...).
    """

    def __init__(
        self, prefix: Pair | None, beginnings: Pair | None, prompts: Pair, slots: int
    ) -> None:
        self.prefix = prefix
        self.beginnings = None if beginnings is None else _turned(beginnings)
        self.prompts = _turned(prompts)
        K, _, _, D = prompts[0].shape
        self.own = (prompts[0].new_zeros(K, slots, D, 0), prompts[1].new_zeros(K, slots, 0, D))


def _turned(pair: Pair) -> Pair:
    """Keys and values (K, B, L, D) as (K B, D, L) and (K B, L, D)."""
    keys, values = pair
    return keys.transpose(2, 3).contiguous().flatten(0, 1), values.flatten(0, 1)


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
        lengths = self._prompt_lengths
        self._group(Beginnings.of(prompts.hangs_on, lengths, samples))
        groups = zip(self._beginnings.groups, self._beginnings.lengths, strict=True)
        shared = prompts.places([(group[0], 0, length) for group, length in groups])
        own = prompts.places([(n, self._begun[n], length) for n, length in enumerate(lengths)])
        self._layers: dict[int, _Layer] = {}
        for layer in prompts.layers:
            prefix = prompts.prefix.get(layer)
            beginnings, of_prompts = prompts.take_heads(layer, shared, own)
            self._layers[layer] = _Layer(
                (prefix[0].permute(1, 2, 0).contiguous(), prefix[1].transpose(0, 1).contiguous())
                if prefix
                else None,
                beginnings if self._gathering else None,
                of_prompts,
                self.slots,
            )

    def _group(self, beginnings: Beginnings) -> None:
        prompts = len(self._prompt_lengths)
        self._beginnings, self._begun = beginnings, beginnings.begun(prompts)
        self._gathering = Gathering(beginnings.groups, prompts) if beginnings.groups else None

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
        query_PSKGD = self._spread(query_NHD).view(P, S, K, G, D)
        query = query_NHD.new_empty(K, P, S, G, D)
        torch.mul(query_PSKGD.permute(2, 0, 1, 3, 4), rule.scale, out=query)
        own_keys, own_values = cache.own[0][..., :now], cache.own[1][:, :, :now]
        if own_keys.dtype == torch.bfloat16:  # whose products take three times as long over gaps
            own_keys = own_keys.contiguous()
        # What a prompt's samples share is read once for all of them, as more rows of queries.
        scores = [_rows(query) @ cache.prompts[0]]
        scores.append(query.view(-1, G, D) @ own_keys.flatten(0, 1))
        if cache.beginnings is not None:
            scores.insert(0, self._of_beginnings(query, cache.beginnings[0]))
        if cache.prefix is not None:
            scores.insert(0, query.flatten(1, 3) @ cache.prefix[0])
        scores = [part.view(K, P, S, G, -1) for part in scores]
        weights = self._weights(torch.cat(scores, dim=-1), rule).to(value_NKD.dtype)
        *before, on_prompts, on_own = weights.split([part.shape[-1] for part in scores], dim=-1)
        output = (on_own.reshape(-1, G, now) @ own_values.flatten(0, 1)).view(query.shape)
        output.view(K * P, S * G, D).baddbmm_(_rows(on_prompts), cache.prompts[1])
        if cache.beginnings is not None:
            output += self._of_beginnings(before.pop(), cache.beginnings[1])
        if cache.prefix is not None:
            output += (before.pop().flatten(1, 3) @ cache.prefix[1]).view(query.shape)
        return self._live(output.permute(1, 2, 0, 3, 4).reshape(P * S, H, D))

    def _of_beginnings(self, x_KPSGX: Tensor, states: Tensor) -> Tensor:
        """Products (K, P, S, G, Y) with what each prompt's group begins with: (K M, X, Y)."""
        assert self._gathering is not None
        products = self._gathering.laid_out(x_KPSGX.flatten(2, 3)) @ states
        return self._gathering.back(products, len(x_KPSGX)).view(*x_KPSGX.shape[:-1], -1)

    def _weights(self, scores: Tensor, rule: ScoreRule) -> Tensor:
        """Softmax, computed in float32, over the keys that may be seen."""
        mask = self._mask(rule.window)
        if rule.plain:
            return scores.add_(mask.to(scores.dtype)).softmax(-1)
        scores = softcapped(scores.float(), rule.softcap).add_(mask)
        K, _, _, G, _ = scores.shape
        return rule.weights(scores, K, 1, 1, G, 1)

    def _mask(self, window: int | None) -> Tensor:
        """(P, 1, 1, keys): 0, or -inf at keys that no row of a prompt may look at."""
        if window not in self._masks:
            begun_P1 = torch.tensor(self._begun)[:, None]
            behind_P1 = self.prompt_length_P[:, None]
            widths = (max(self._begun), self._longest_own)
            beginning, prompt = (torch.arange(width) for width in widths)
            P, now = len(begun_P1), self.step + 1
            own = behind_P1 + torch.arange(now)
            columns = (torch.arange(-self.prefix_length, 0), beginning)
            position = [part.expand(P, -1) for part in columns] + [begun_P1 + prompt, own]
            hidden = torch.zeros(P, self.prefix_length + sum(widths) + now, dtype=torch.bool)
            beginnings, prompts = hidden[:, self.prefix_length :].split([*widths, now], 1)[:2]
            beginnings |= beginning >= begun_P1
            prompts |= begun_P1 + prompt >= behind_P1
            if window is not None:
                hidden |= torch.cat(position, 1) <= own[:, -1:] - window
            mask = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))
            self._masks[window] = mask[:, None, None]
        return self._masks[window]

    @property
    def _longest_own(self) -> int:
        """Tokens of a prompt behind its group's beginning at most."""
        return max(n - begun for n, begun in zip(self._prompt_lengths, self._begun, strict=True))

    def _store(self, cache: _Layer, key_NKD: Tensor, value_NKD: Tensor) -> None:
        if cache.own[1].shape[2] == self.step:
            cache.own = (grown(cache.own[0], 3, self._most), grown(cache.own[1], 2, self._most))
        keys, values = cache.own
        places = keys.select(3, self.step), values.select(2, self.step)
        for place, new in zip(places, (key_NKD, value_NKD), strict=True):
            if len(self._live_slots) == self.slots:
                place.copy_(new.transpose(0, 1))
            else:
                place.index_copy_(1, self.slot_N, new.transpose(0, 1))

    def _spread(self, x_NHD: Tensor) -> Tensor:
        """Live rows laid out as slots; the others are 0."""
        if len(self._live_slots) == self.slots:
            return x_NHD
        return x_NHD.new_zeros(self.slots, *x_NHD.shape[1:]).index_copy_(0, self.slot_N, x_NHD)

    def _live(self, x_SHD: Tensor) -> Tensor:
        return x_SHD if len(self._live_slots) == self.slots else x_SHD.index_select(0, self.slot_N)

    def _select(self, prompt_P: Tensor, old_S: Tensor) -> None:
        beginnings, left = self._beginnings.of_prompts(prompt_P.tolist())
        self._group(beginnings)
        longest, group_M = self._longest_own, torch.tensor(left, dtype=torch.long)
        begun = max(beginnings.lengths, default=0)
        for layer in self._layers.values():
            K = len(layer.own[0])
            layer.prompts = _those(layer.prompts, K, prompt_P, longest)
            if layer.beginnings is not None:
                there = _those(layer.beginnings, K, group_M, begun)
                layer.beginnings = there if left else None
            layer.own = (layer.own[0][:, old_S], layer.own[1][:, old_S])


def _rows(x_KPSGX: Tensor) -> Tensor:
    """What a prompt's samples have, as rows: (K P, S G, X)."""
    return x_KPSGX.flatten(2, 3).flatten(0, 1)


def _those(pair: Pair, heads: int, chosen: Tensor, longest: int) -> Pair:
    """Some of the keys (K B, D, L) and values (K B, L, D), of so many tokens at most."""
    keys, values = (part.unflatten(0, (heads, -1)).index_select(1, chosen) for part in pair)
    keys, values = keys[..., :longest].contiguous(), values[:, :, :longest].contiguous()
    return keys.flatten(0, 1), values.flatten(0, 1)
