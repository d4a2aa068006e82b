"""Keys and values of a sampling batch: one copy of what rows share, one growing part for each row.

Rows are laid out as P prompts x S samples ("slots"). Four parts: the prefix common to all prompts (one
copy), what groups of prompts begin with (a copy each), each prompt's own tokens (one for its S samples) and
each row's new tokens, for which room is made a block at a time. Finished rows leave the packed row of
queries at once, and leave the cache when few enough are left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from truing.models.engine import attention_kernels
from truing.models.engine.attention import ScoreRule
from truing.models.engine.beginnings import Beginnings, Gathering
from truing.models.engine.kernels import array_of, team_of
from truing.models.engine.prefill import Pair, Prompts

BLOCK = 64
"""New tokens of a row that room is made for at once."""
_NO_WINDOW = 1 << 62


def grown(states: Tensor, axis: int, most: int) -> Tensor:
    """The same with room for a block more along an axis, `most` at most."""
    shape = list(states.shape)
    shape[axis] = min(BLOCK, most - shape[axis])
    return torch.cat((states, states.new_zeros(shape)), dim=axis)


class _Layer:
    """Keys and values of one layer, heads first; keys (..., D, L) and values (..., L, D), as products of
    few queries are fastest.

    prefix (K, ...) of what all prompts begin with, beginnings (K M, ...) of what groups of prompts do; or
    None. prompts (K P, ...). own: both (K, R, T, D), and as kernels take them.
    """

    def __init__(
        self, prefix: Pair | None, beginnings: Pair | None, prompts: Pair, slots: int
    ) -> None:
        self.prefix = prefix
        self.beginnings = None if beginnings is None else _turned(beginnings)
        self.prompts = _turned(prompts)
        K, _, _, D = prompts[0].shape
        self.hold((prompts[0].new_zeros(K, slots, 0, D), prompts[1].new_zeros(K, slots, 0, D)))

    def hold(self, own: Pair) -> None:
        """Takes these as the rows' own keys and values."""
        self.own = own
        self.own_arrays = array_of(own[0]), array_of(own[1])


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

    def advance(self) -> None:
        """Ends a step: the next token of each row comes one position later."""
        self.step += 1

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
        prompt_P, old_R = self._put(prompts), self._put(old)
        self._prompt_lengths = [self._prompt_lengths[prompt] for prompt in prompts]
        self.prompt_length_P = self._put(self._prompt_lengths)
        self.samples = samples
        self._select(prompt_P, old_R)

    def _select(self, prompt_P: Tensor, old_R: Tensor) -> None:
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

    def _lay_out(self, slots: Sequence[int]) -> None:
        super()._lay_out(slots)
        self._slots = array_of(self.slot_N)

    def _group(self, beginnings: Beginnings) -> None:
        prompts = len(self._prompt_lengths)
        self._beginnings, self._begun = beginnings, beginnings.begun(prompts)
        self._gathering = Gathering(beginnings.groups, prompts) if beginnings.groups else None
        self._begun_P = np.array(self._begun)
        self._own_P = np.array(self._prompt_lengths) - self._begun_P
        self._query: Tensor | None = None

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan. Row n's new token sees the prefix, its prompt and its own tokens."""
        heads_NAD = torch.cat((query_NHD, key_NKD, value_NKD), dim=1)
        still = heads_NAD.new_ones(len(heads_NAD), heads_NAD.shape[2])
        return self.attend_unturned(layer, heads_NAD, still, torch.zeros_like(still), rule)

    def attend_unturned(
        self, layer: int, heads_NAD: Tensor, cos_ND: Tensor, sin_ND: Tensor, rule: ScoreRule
    ) -> Tensor:
        """The same of heads of queries, keys and values behind one another, before they are turned by the
        cosines and sines of their positions: (N, H, D)."""
        cache = self._layers[layer]
        self._make_room(cache)
        keys, values = cache.own_arrays
        K, S, P = len(keys), self.samples, len(self._prompt_lengths)
        query = self._queries(K, heads_NAD)
        heads, turn = array_of(heads_NAD), (array_of(cos_ND), array_of(sin_ND))
        threads, scale = team_of(len(self._slots)), np.float32(rule.scale)
        into = array_of(query), keys, values
        attention_kernels.place(*threads, heads, *turn, self._slots, scale, self.step, *into)
        shared = self._shared_scores(query, cache)
        output = torch.empty_like(query)
        given = (array_of(query), *map(array_of, shared), self._begun_P, self._own_P)
        rows = (keys, values, self._slots, S, self.step)
        window, softcap = rule.window or _NO_WINDOW, np.float32(rule.softcap or 0)
        how = window, softcap, _sinks(rule, K * query.shape[2])
        attention_kernels.look_back(*threads, *given, *rows, *how, array_of(output))
        prefix, begun, prompt = shared
        output.view(K * P, -1, output.shape[3]).baddbmm_(_rows(prompt, P), cache.prompts[1])
        if cache.beginnings is not None:
            output += self._of_beginnings(begun, cache.beginnings[1])
        if cache.prefix is not None:
            output.flatten(1, 2).baddbmm_(prefix.flatten(1, 2), cache.prefix[1])
        return self._live(output.transpose(0, 1)).flatten(1, 2)

    def _queries(self, heads: int, like_NAD: Tensor) -> Tensor:
        """(K, R, G, D) for all layers to write to; 0 where no row lives."""
        if self._query is None:
            G = like_NAD.shape[1] // heads - 2
            self._query = like_NAD.new_zeros(heads, self.slots, G, like_NAD.shape[2])
        return self._query

    def _shared_scores(self, query_KRGD: Tensor, cache: _Layer) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (K, R, G, keys) of the prefix, of the prompts' beginnings and of the prompts."""
        P, shape = len(self._prompt_lengths), query_KRGD.shape[:3]
        prefix = begun = query_KRGD.new_empty(*shape, 0)
        if cache.prefix is not None:
            prefix = torch.bmm(query_KRGD.flatten(1, 2), cache.prefix[0]).view(*shape, -1)
        if cache.beginnings is not None:
            begun = self._of_beginnings(query_KRGD, cache.beginnings[0])
        prompt = torch.bmm(_rows(query_KRGD, P), cache.prompts[0])
        return prefix, begun, prompt.view(*shape, -1)

    def _of_beginnings(self, x_KRGX: Tensor, states: Tensor) -> Tensor:
        """Products (K, R, G, Y) with what each prompt's group begins with: (K M, X, Y)."""
        assert self._gathering is not None
        x_KPQX = x_KRGX.view(len(x_KRGX), len(self._prompt_lengths), -1, x_KRGX.shape[3])
        products = self._gathering.laid_out(x_KPQX) @ states
        return self._gathering.back(products, len(x_KRGX)).view(*x_KRGX.shape[:3], -1)

    @property
    def _longest_own(self) -> int:
        """Tokens of a prompt behind its group's beginning at most."""
        return max(n - begun for n, begun in zip(self._prompt_lengths, self._begun, strict=True))

    def _make_room(self, cache: _Layer) -> None:
        if cache.own[0].shape[2] == self.step:
            keys, values = (grown(part, 2, self._most) for part in cache.own)
            cache.hold((keys, values))

    def _live(self, x_RKGD: Tensor) -> Tensor:
        if len(self._live_slots) == self.slots:
            return x_RKGD.contiguous()
        return x_RKGD.index_select(0, self.slot_N)

    def _select(self, prompt_P: Tensor, old_R: Tensor) -> None:
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
            layer.hold((layer.own[0][:, old_R], layer.own[1][:, old_R]))


def _rows(x_KRGX: Tensor, prompts: int) -> Tensor:
    """What a prompt's samples have, as rows: (K P, S G, X)."""
    return x_KRGX.view(len(x_KRGX) * prompts, -1, x_KRGX.shape[3])


def _sinks(rule: ScoreRule, heads: int) -> np.ndarray:
    """Scores (H,) of no key; -inf where there are none."""
    if rule.sinks_H is None:
        return np.full(heads, -np.inf, np.float32)
    return rule.sinks_H.detach().float().numpy()


def _those(pair: Pair, heads: int, chosen: Tensor, longest: int) -> Pair:
    """Some of the keys (K B, D, L) and values (K B, L, D), of so many tokens at most."""
    keys, values = (part.unflatten(0, (heads, -1)).index_select(1, chosen) for part in pair)
    keys, values = keys[..., :longest].contiguous(), values[:, :, :longest].contiguous()
    return keys.flatten(0, 1), values.flatten(0, 1)
