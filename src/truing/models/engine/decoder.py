"""The decoder stack of Llama-like models (Llama, Mistral, Qwen 2 and 3, Gemma 2 and 3) in few operators.

The same numbers as `transformers` gives (a test for each family), from the same parameters, for one
packed row of tokens whose attention follows a plan. Where gradients are wanted, layers are *live*: they
call the model's own linear modules. Where not (sampling, scoring), they are *packed*: copies of the
weights in the processor's own layout (copies.py), made anew when a parameter has changed; or *lean* off the
processor, where there are no copies. Other models run through `transformers` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from truing.models.engine.attention import AttentionPlan
from truing.models.engine.batch_cache import SharedCache
from truing.models.engine.checkpointing import Checkpoints
from truing.models.engine.copies import Copies, FloatCopies, state_of
from truing.models.engine.decode_step import DTYPES, StepLayer, normed
from truing.models.engine.embedding import embedded
from truing.models.engine.families import Norm, is_written_here, last_norm, parts_of
from truing.models.engine.linears import Linears, Live, with_one_input
from truing.models.engine.operators import rotate, rotate_into, signed
from truing.models.engine.own_weights import (
    Together,
    added_product,
    lay_together,
    reads_own_weights,
)
from truing.models.engine.sharding import ShardedLayer, shard_of, shards_of
from truing.models.engine.slot_cache import SlotCache

CHUNK = 256
"""Tokens whose activations a core's own cache holds."""


def _beside(x_NE: Tensor, output_NE: Tensor, norm: Norm | None, dtype: torch.dtype) -> Tensor:
    """What a part of a layer gives, behind its norm if it has one, added to what it was given."""
    return x_NE + (output_NE if norm is None else norm(output_NE, dtype))


def _some_at_a_time(work: Callable[..., tuple[Tensor, ...]], *given: Tensor) -> tuple[Tensor, ...]:
    """What is computed of each token by itself, without gradients of so many at once as a core's cache
    holds: what stands between products is then read from there."""
    if torch.is_grad_enabled() or len(given[0]) <= CHUNK or given[0].device.type != "cpu":
        return work(*given)
    parts = [work(*some) for some in zip(*(x.split(CHUNK) for x in given), strict=True)]
    return tuple(torch.cat(each) for each in zip(*parts, strict=True))


class _Layer:
    """One layer: attention and feed-forward, each behind a norm and beside a shortcut."""

    def __init__(self, number: int, layer: Any, linears: Linears) -> None:
        self._number = number
        self._linears = linears
        self._parts = parts_of(layer)
        self.turn = self._parts.turn

    def __call__(
        self,
        x_NE: Tensor,
        cos_N1D: Tensor,
        sin_N1D: Tensor,
        plan: AttentionPlan,
        dtype: torch.dtype,
        only_M: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (N, E), or those of these tokens only (M, E)."""
        H, _ = self._parts.heads
        heads = partial(self._heads, dtype=dtype)
        turned, value_NKD = _some_at_a_time(heads, x_NE, cos_N1D, sin_N1D)
        attended_NHD = plan.attend(
            self._number,
            turned[:, :H],
            turned[:, H:],
            value_NKD,
            self._parts.rule,
        )
        attended_NO = attended_NHD.reshape(len(x_NE), -1)
        if only_M is not None:
            x_NE, attended_NO = x_NE[only_M], attended_NO[only_M]
        (x_NE,) = _some_at_a_time(partial(self._behind_attention, dtype=dtype), x_NE, attended_NO)
        return x_NE

    def _heads(
        self, x_NE: Tensor, cos_N1D: Tensor, sin_N1D: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Queries and keys, turned, and values."""
        parts, (H, K) = self._parts, self._parts.heads
        heads = self._linears.queries_keys_values(parts.before[0](x_NE, dtype))
        heads = heads.view(len(x_NE), H + 2 * K, -1)
        turned, value_NKD = heads[:, : H + K], heads[:, H + K :]
        if parts.of_heads is not None:
            turned = parts.of_heads(turned, H, dtype)
        return rotate(turned, cos_N1D, sin_N1D), value_NKD

    def _behind_attention(
        self, x_NE: Tensor, attended_NO: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor]:
        linears, parts = self._linears, self._parts
        x_NE = _beside(x_NE, linears.attention_output(attended_NO), parts.behind[0], dtype)
        inner_NF = linears.gated(parts.before[1](x_NE, dtype), parts.gate)
        return (_beside(x_NE, linears.down(inner_NF), parts.behind[1], dtype),)


class _LeanLayer:
    """The same off the processor, without gradients: of the model's own weights, in few operators."""

    def __init__(self, number: int, layer: Any) -> None:
        self._number = number
        self._attention, self._mlp = layer.self_attn, layer.mlp
        self._parts = parts_of(layer)
        self.turn = self._parts.turn
        self._heads, self._gate_up = Together(), Together()

    def __call__(
        self,
        x_NE: Tensor,
        cos_N1D: Tensor,
        signed_N1D: Tensor,
        plan: AttentionPlan,
        dtype: torch.dtype,
        only_M: Tensor | None = None,
    ) -> Tensor:
        """As `_Layer`."""
        parts, mlp = self._parts, self._mlp
        attended_NO = self._attended(parts.before[0](x_NE, dtype), cos_N1D, signed_N1D, plan)
        if only_M is not None:
            x_NE, attended_NO = x_NE[only_M], attended_NO[only_M]
        x_NE = _product_beside(x_NE, self._attention.o_proj, attended_NO, parts.behind[0])
        normed = parts.before[1](x_NE, dtype)
        gate, up = self._gate_up.of_each((mlp.gate_proj, mlp.up_proj), normed)
        return _product_beside(x_NE, mlp.down_proj, parts.gate(gate, up), parts.behind[1])

    def _attended(
        self, x_NE: Tensor, cos_N1D: Tensor, signed_N1D: Tensor, plan: AttentionPlan
    ) -> Tensor:
        attention, (H, K), norms = self._attention, self._parts.heads, self._parts.of_heads
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        heads = self._heads.side_by_side(projections, x_NE)
        heads = heads.view(len(x_NE), H + 2 * K, -1)
        straight = turned = heads[:, : H + K]
        if norms is not None:
            straight = norms.at_once(heads, H, K)
        rotate_into(turned, straight, cos_N1D, signed_N1D)
        if isinstance(plan, SlotCache):
            attended_NHD = plan.attend_heads(self._number, heads, H, self._parts.rule)
        else:
            query, key, value = heads.split([H, K, K], dim=1)
            attended_NHD = plan.attend(self._number, query, key, value, self._parts.rule)
        return attended_NHD.reshape(len(x_NE), -1)


def _product_beside(x_NE: Tensor, layer: nn.Module, inner_NI: Tensor, norm: Norm | None) -> Tensor:
    """A linear layer's output, behind its norm if it has one, added to what stands beside it."""
    if norm is None:
        return added_product(x_NE, layer, inner_NI)
    return _beside(x_NE, layer(inner_NI), norm, x_NE.dtype)


class _PackedLayers:
    """All layers with copies of the weights, as the parameters were when they were made."""

    def __init__(self, body: Any, copies: Copies) -> None:
        self.state = state_of(body)
        pairs = list(zip(body.layers, copies.of_layers(body), strict=True))
        self.layers = [_Layer(i, part, linears) for i, (part, linears) in enumerate(pairs)]
        self.steps = [StepLayer(i, part, linears) for i, (part, linears) in enumerate(pairs)]


class _PackedHead:
    """The projection to the vocabulary; apart, because an adapter leaves it as it is."""

    def __init__(self, head: nn.Module, copies: Copies) -> None:
        self.state = state_of(head)
        self.project = copies.of_head(head)


class Decoder:
    """Embedding, layers and last norm of a model that `supports` it.

    `dtype` is the precision of passes without gradients, `copies` what they multiply with on a processor:
    where it isn't given, weights in that precision.
    """

    def __init__(
        self, model: PreTrainedModel, dtype: torch.dtype, copies: Copies | None = None
    ) -> None:
        self._model = model
        self._dtype = dtype
        self._copies = copies or FloatCopies(dtype)
        body: Any = model.base_model
        for part in body.layers:
            for layers in with_one_input(part):
                lay_together(layers)
        self._last_norm = last_norm(body)
        self._live = [_Layer(i, part, Live(part)) for i, part in enumerate(body.layers)]
        self._lean = [_LeanLayer(i, part) for i, part in enumerate(body.layers)]
        self._packed: _PackedLayers | None = None
        self._packing = Lock()  # passes may run side by side
        self._packed_head: _PackedHead | None = None
        self._checkpoints: Checkpoints | None = None

    @staticmethod
    def supports(model: PreTrainedModel) -> bool:
        """Whether the model's architecture is one of those written here."""
        return is_written_here(model.config)

    def _frozen_layers(self, plan: AttentionPlan) -> Sequence[_Layer | _LeanLayer]:
        if isinstance(plan, SharedCache) and plan.step and self._packed is not None:
            return self._packed.layers  # nothing learns between the steps of an answer
        body: Any = self._model.base_model
        linear = (each for part in body.layers for group in with_one_input(part) for each in group)
        if reads_own_weights(linear, self._dtype):
            return self._lean
        if self._shards():
            return self._live  # a copy would be as large as the weights that were shared out
        with self._packing:
            if self._packed is None or self._packed.state != state_of(body):
                self._packed = None  # the old copies go before the new ones come
                self._packed = _PackedLayers(body, self._copies)
            return self._packed.layers

    def head(self, hidden_NE: Tensor) -> Tensor:
        """Logits (N, V) of the token behind each hidden state, without gradients."""
        head = self._model.get_output_embeddings()
        assert isinstance(head, nn.Module)
        with self._packing:
            if self._packed_head is None or self._packed_head.state != state_of(head):
                self._packed_head = None
                self._packed_head = _PackedHead(head, self._copies)
            project = self._packed_head.project
        return project(hidden_NE)

    def forget(self, *, learning_only: bool = False) -> None:
        """Drops the packed copies, or those of what a learning pass is about to change; the next pass
        without gradients makes them anew."""
        self._packed = None
        head = self._model.get_output_embeddings()
        learns = head is not None and any(p.requires_grad for p in head.parameters())
        if learns or not learning_only:
            self._packed_head = None
        self._copies.forget(learning_only=learning_only)

    @contextmanager
    def checkpointed(self, checkpoints: Checkpoints) -> Iterator[None]:
        """While it lasts, layers run as `checkpoints` say in passes with gradients."""
        self._checkpoints = checkpoints
        try:
            yield
        finally:
            self._checkpoints = None

    def hidden(
        self,
        tokens_N: Tensor,
        positions_N: Tensor,
        plan: AttentionPlan,
        only_M: Tensor | None = None,
        layers: int | None = None,
    ) -> Tensor:
        """Hidden states (N, E) behind the last norm, or behind the first `layers` layers, unnormed.

        Behind the last norm those of `only_M` (M, E), where they alone are asked for: the last layer then
        does its part for them alone.
        """
        x_NE = self._embedded(tokens_N)
        if torch.is_grad_enabled():
            self.forget(learning_only=True)
            stack: Sequence[_Layer | _LeanLayer] = self._live
            kind = x_NE.device.type
            dtype = (
                torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x_NE.dtype
            )
        else:
            stack, dtype = self._frozen_layers(plan), self._dtype
            x_NE = x_NE.to(dtype)
        turns = {
            turn: self._turn(turn, x_NE, positions_N, dtype, lean=stack is self._lean)
            for turn in dict.fromkeys(layer.turn for layer in stack)
        }
        packed = self._packed
        steps = packed.steps if packed is not None and stack is packed.layers else None
        if steps is not None and isinstance(plan, SharedCache) and dtype in DTYPES:
            return self._step(steps, x_NE, turns, plan)
        with self._in_precision(stack):
            shards = self._shards()
            for number, layer in enumerate(stack[:layers]):
                of_these = only_M if layer is stack[-1] else None
                shard = shards[number] if shards else None
                x_NE = self._run(layer, shard)(x_NE, *turns[layer.turn], plan, dtype, of_these)
        return x_NE if layers is not None else self._last_norm(x_NE, x_NE.dtype)

    def _step(
        self,
        layers: Sequence[StepLayer],
        x_NE: Tensor,
        turns: Mapping[str | None, tuple[Tensor, Tensor]],
        cache: SharedCache,
    ) -> Tensor:
        """A pass in which each row adds a token."""
        beside_NE: Tensor | None = None
        for layer in layers:
            beside_NE = layer(x_NE, beside_NE, *turns[layer.turn], cache)
        return normed(x_NE, beside_NE, self._last_norm)

    def _shards(self) -> Sequence[ShardedLayer]:
        """Those of the layers; none where each process holds them whole."""
        body: Any = self._model.base_model
        return shards_of(self._model) if shard_of(body.layers[0]) else ()

    def _run(self, layer: _Layer | _LeanLayer, shard: ShardedLayer | None) -> Callable[..., Tensor]:
        """A pass through a layer. Whatever is computed again in the backward pass is so with the weights
        there: they are put together around it."""
        run = layer if self._checkpoints is None else self._checkpoints.around(layer)
        return run if shard is None else shard.around(run)

    def _in_precision(self, stack: Sequence[_Layer | _LeanLayer]) -> AbstractContextManager[object]:
        """Of a pass without gradients through the model's own modules, on which copies would have it."""
        own = self._model.dtype
        if stack is not self._live or torch.is_grad_enabled() or own == self._dtype:
            return nullcontext()
        return torch.autocast(self._model.device.type, self._dtype)

    def _embedded(self, tokens_N: Tensor) -> Tensor:
        body: Any = self._model.base_model
        embedding = body.embed_tokens
        x_NE = embedded(embedding.weight, tokens_N)
        scale = getattr(embedding, "embed_scale", None)
        return x_NE if scale is None else x_NE * scale.to(x_NE.dtype)

    def _turn(
        self,
        kind: str | None,
        x_NE: Tensor,
        positions_N: Tensor,
        dtype: torch.dtype,
        *,
        lean: bool,
    ) -> tuple[Tensor, Tensor]:
        """Cosines and sines (N, 1, D) of the positions, for layers of one kind, as they take them."""
        named = {} if kind is None else {"layer_type": kind}
        body: Any = self._model.base_model
        cos, sin = body.rotary_emb(x_NE[None], position_ids=positions_N[None], **named)
        cos_N1D, sin_N1D = (part[0].unsqueeze(1).to(dtype) for part in (cos, sin))
        return cos_N1D, signed(sin_N1D) if lean else sin_N1D
