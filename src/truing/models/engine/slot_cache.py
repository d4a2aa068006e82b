"""The cache of a sampling batch off the processor: few operators, whatever the rows.

There a step's time is that of starting operators, not of rows. So rows that have finished stay among the
queries until the cache is laid out anew; every product is one batch of matrices; keys and values are one
tensor; and scores are written beside one another at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from truing.models.engine.attention import ScoreRule
from truing.models.engine.batch_cache import Slots, grown
from truing.models.engine.prefill import Pair, Prompts

_PREFIX, _PROMPT, _OWN = (1, 3), (2, 3), (3, 3)


class _Layer:
    """Keys and values of one layer, heads first.

    prefix (K, R, D) or None, prompts (K, P, L, D); pairs of keys and values. own (2 K, P, S, T, D): the
    keys of all heads, then the values.
    """

    def __init__(self, prefix: Pair | None, prompts: Pair, samples: int) -> None:
        self.prefix = prefix
        self.prompts = prompts
        K, P, _, D = prompts[0].shape
        self.own = prompts[0].new_zeros(2 * K, P, samples, 0, D)

    def parts(self, now: int) -> list[tuple[Tensor, Tensor, tuple[int, int]]]:
        """What a row sees of the first `now` steps: keys and values as batches of matrices, and the axes
        of (K, P, S, G) that are rows of queries to each."""
        keys, values = self.own[:, :, :, :now].split(len(self.prompts[0]))
        in_prompts, values_there = (part.flatten(0, 1) for part in self.prompts)
        found = [
            (in_prompts, values_there, _PROMPT),
            (keys.flatten(0, 2), values.flatten(0, 2), _OWN),
        ]
        return found if self.prefix is None else [(*self.prefix, _PREFIX), *found]


class SlotCache(Slots):
    """The attention plan of one sampling step: each slot adds a token and looks back, also where its row
    has finished: then nobody looks at it."""

    def __init__(self, prompts: Prompts, samples: int, max_new_tokens: int) -> None:
        super().__init__(prompts, samples, max_new_tokens)
        self._masks: dict[int | None, Tensor] = {}
        self._layers: dict[int, _Layer] = {}
        for layer in prompts.layers:
            prefix = prompts.prefix.get(layer)
            keys, values = prompts.take(layer)
            self._layers[layer] = _Layer(
                (_of_heads(prefix[0], 1), _of_heads(prefix[1], 1)) if prefix else None,
                (_of_heads(keys, 2), _of_heads(values, 2)),
                samples,
            )
        self._padding: Tensor | None = None
        self._hidden: dict[int, dict[tuple[int, int], Tensor]] = {}

    def positions(self) -> Tensor:
        """Position of the token that each slot adds in this step: (P S,)."""
        return (self.prompt_length_P + (self.prefix_length + self.step)).repeat_interleave(
            self.samples, output_size=self.slots
        )

    def to_queries(self, x_N: Tensor) -> Tensor:
        """What live rows have, laid out as slots; the others have 0."""
        if len(self._live_slots) == self.slots:
            return x_N
        return x_N.new_zeros(self.slots, *x_N.shape[1:]).index_copy_(0, self.slot_N, x_N)

    def of_live(self, x_S: Tensor) -> Tensor:
        """What slots have, of live rows alone."""
        return x_S if len(self._live_slots) == self.slots else x_S.index_select(0, self.slot_N)

    def attend(
        self,
        layer: int,
        query_NHD: Tensor,
        key_NKD: Tensor,
        value_NKD: Tensor,
        rule: ScoreRule,
    ) -> Tensor:
        """See AttentionPlan. A slot's new token sees the prefix, its prompt and its own tokens."""
        heads = torch.cat((query_NHD, key_NKD, value_NKD), dim=1)
        return self.attend_heads(layer, heads, query_NHD.shape[1], rule)

    def attend_heads(self, layer: int, heads_NHD: Tensor, queries: int, rule: ScoreRule) -> Tensor:
        """The same of all heads in one tensor: those of the queries, of the keys and of the values."""
        cache, states = self._layers[layer], heads_NHD[:, queries:]
        K, P, S = states.shape[1] // 2, len(self._prompt_lengths), self.samples
        self._store(cache, states)
        query_PSKGD = heads_NHD[:, :queries].view(P, S, K, -1, states.shape[2])
        query_KPSGD = query_PSKGD.permute(2, 0, 1, 3, 4).contiguous()
        parts = cache.parts(self.step + 1)
        widths = [keys.shape[1] for keys, _, _ in parts]
        scores = query_KPSGD.new_empty(*query_KPSGD.shape[:-1], sum(widths))
        biases = self._biases(self._hiding(rule.window), K, query_KPSGD) if rule.plain else {}
        scale = rule.scale / (rule.softcap or 1)
        for into, (keys, _, axes) in zip(scores.split(widths, dim=-1), parts, strict=True):
            query = _batched(query_KPSGD, axes)
            _scores_into(_batched(into, axes), query, keys, scale, biases.get(axes))
        weights = scores.softmax(-1) if rule.plain else self._weights(scores, rule)
        output = torch.empty_like(query_KPSGD)
        # The last part is the rows' own, which begins the sum.
        for number, (_, values, axes) in enumerate(reversed(parts)):
            weight = _batched(weights.split(widths, dim=-1)[-1 - number], axes)
            _batched(output, axes).baddbmm_(weight, values, beta=min(number, 1))
        return output.permute(1, 2, 0, 3, 4).reshape(P * S, queries, -1)

    def _weights(self, scores_KPSGS: Tensor, rule: ScoreRule) -> Tensor:
        """Softmax in float32 over the keys that may be seen, of a softcap or sinks. What is to be capped
        has been divided by the softcap, and is written over."""
        scores, mask = scores_KPSGS.float(), self._mask(self._hiding(rule.window))[:, 0]
        if rule.softcap is None:
            scores = scores + mask
        else:
            scores = torch.add(mask, scores.tanh_(), alpha=rule.softcap)
        K, _, _, G, _ = scores.shape
        return rule.weights(scores, K, 1, 1, G, 1).to(scores_KPSGS.dtype)

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

    def _hiding(self, window: int | None) -> int | None:
        """The window, where it hides anything from any row."""
        longest = self.prefix_length + max(self._prompt_lengths) + self.step + 1
        return window if window is not None and window < longest else None

    def _biases(
        self, window: int | None, heads: int, query_KPSGD: Tensor
    ) -> dict[tuple[int, int], Tensor]:
        """What is added to the scores of each part, by its axes: -inf where a token may not be seen."""
        if window is None:
            return {_PROMPT: self._padded(heads, query_KPSGD.dtype)}
        if window not in self._hidden:
            widths = [self.prefix_length, max(self._prompt_lengths), self.step + 1]
            mask = self._mask(window).to(query_KPSGD.dtype)
            K, P, S, G, _ = query_KPSGD.shape
            whole = mask[:, 0].expand(K, P, S, G, -1)
            prefix, prompt, own = whole.split(widths, dim=-1)
            self._hidden[window] = {
                _PROMPT: prompt[:, :, 0, :1].flatten(0, 1),
                _OWN: own[..., :1, :].flatten(0, 2),
            }
            if self.prefix_length:
                self._hidden[window][_PREFIX] = prefix[:1].flatten(1, 3)
        return self._hidden[window]

    def _padded(self, heads: int, dtype: torch.dtype) -> Tensor:
        """(K P, 1, L): 0 at the tokens of each prompt, -inf behind them."""
        if self._padding is None:
            longest = max(self._prompt_lengths)
            behind_PL = torch.arange(longest, device=self._device) >= self.prompt_length_P[:, None]
            nothing = torch.zeros(behind_PL.shape, dtype=dtype, device=self._device)
            self._padding = nothing.masked_fill_(behind_PL, float("-inf")).repeat(heads, 1)[:, None]
        return self._padding

    def advance(self) -> None:
        """See Slots."""
        super().advance()
        self._masks.clear()
        self._hidden.clear()

    def _store(self, cache: _Layer, states_NKD: Tensor) -> None:
        if cache.own.shape[3] == self.step:
            cache.own = grown(cache.own, 3, self._most)
        P, S = len(self._prompt_lengths), self.samples
        new = states_NKD.view(P, S, *states_NKD.shape[1:]).permute(2, 0, 1, 3)
        cache.own.select(3, self.step).copy_(new)

    def _select(self, prompt_P: Tensor, old_R: Tensor) -> None:
        self._padding = None
        self._masks.clear()
        self._hidden.clear()
        longest, P = max(self._prompt_lengths), len(self._prompt_lengths)
        for layer in self._layers.values():
            keys, values = layer.prompts
            layer.prompts = (
                keys.index_select(1, prompt_P)[:, :, :longest].contiguous(),
                values.index_select(1, prompt_P)[:, :, :longest].contiguous(),
            )
            own = layer.own.flatten(1, 2).index_select(1, old_R)
            layer.own = own.unflatten(1, (P, self.samples))


def _batched(x: Tensor, axes: tuple[int, int]) -> Tensor:
    """A view of (K, P, S, G, X) as one batch of matrices: `axes` become their rows, those before that
    the batch."""
    first, last = axes
    return x.flatten(first, last).flatten(0, first - 1)


def _scores_into(
    scores: Tensor, query: Tensor, keys: Tensor, scale: float, bias: Tensor | None
) -> None:
    """Writes the scaled products of queries and keys, plus a bias."""
    keys = keys.transpose(1, 2)
    if bias is None:
        scores.baddbmm_(query, keys, beta=0, alpha=scale)
    else:
        torch.baddbmm(bias, query, keys, alpha=scale, out=scores)


def _of_heads(x: Tensor, axis: int) -> Tensor:
    """With the heads, which are at an axis, in front; contiguous."""
    return x.movedim(axis, 0).contiguous()
