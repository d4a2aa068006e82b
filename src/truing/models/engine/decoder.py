"""The decoder stack of Llama-like models (Llama, Mistral, Qwen 2 and 3) in few operators.

The same numbers as `transformers` gives (a test for each family), from the same parameters, for one
packed row of tokens whose attention follows a plan. Where gradients are wanted, layers are *live*: they
call the model's own linear modules. Where not (sampling, scoring), they are *packed*: copies of the
weights in the processor's own layout, adapters merged in, made anew when a parameter has changed; or
*lean* off the processor, where there are no copies. Other models run through `transformers` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from truing.models.engine.attention import AttentionPlan, ScoreRule
from truing.models.engine.embedding import embedded
from truing.models.engine.operators import rms_norm, rotate, rotate_into, swiglu
from truing.models.engine.own_weights import added_product, product_into, reads_own_weights
from truing.models.engine.packed import PackedLinear
from truing.models.engine.slot_cache import SlotCache

KINDS = frozenset(["llama", "mistral", "qwen2", "qwen3"])


class _Linears(Protocol):
    """The matrix products of one layer."""

    def queries_keys_values(self, x_NE: Tensor) -> Tensor:
        """Projections for attention, side by side: (N, (H + 2 K) D)."""
        ...

    def attention_output(self, x_NO: Tensor) -> Tensor:
        """(N, E)."""
        ...

    def gate_and_up(self, x_NE: Tensor) -> tuple[Tensor, Tensor]:
        """Both inner projections of the feed-forward part: (N, F) each."""
        ...

    def down(self, x_NF: Tensor) -> Tensor:
        """(N, E)."""
        ...


class _Live:
    """Through the model's own modules: gradients and adapters work."""

    def __init__(self, layer: Any) -> None:
        self._attention, self._mlp = layer.self_attn, layer.mlp

    def queries_keys_values(self, x_NE: Tensor) -> Tensor:
        attention = self._attention
        return torch.cat(
            [p(x_NE) for p in (attention.q_proj, attention.k_proj, attention.v_proj)], -1
        )

    def attention_output(self, x_NO: Tensor) -> Tensor:
        return self._attention.o_proj(x_NO)  # type: ignore[no-any-return]

    def gate_and_up(self, x_NE: Tensor) -> tuple[Tensor, Tensor]:
        return self._mlp.gate_proj(x_NE), self._mlp.up_proj(x_NE)

    def down(self, x_NF: Tensor) -> Tensor:
        return self._mlp.down_proj(x_NF)  # type: ignore[no-any-return]


class _Packed:
    """Through frozen copies, layers with the same input as one product."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.queries_keys_values = PackedLinear(
            [attention.q_proj, attention.k_proj, attention.v_proj], dtype
        )
        self.attention_output = PackedLinear([attention.o_proj], dtype)
        self._gate_up = PackedLinear([mlp.gate_proj, mlp.up_proj], dtype)
        self.down = PackedLinear([mlp.down_proj], dtype)

    def gate_and_up(self, x_NE: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = self._gate_up(x_NE).chunk(2, dim=-1)
        return gate, up


_Norms = tuple[Any, Any]


def _facts(layer: Any) -> tuple[_Norms, _Norms, tuple[int, int], ScoreRule]:
    """A layer's two norms, those of queries and keys (or None), how many heads of queries and of keys, and
    its attention's rule."""
    attention = layer.self_attn
    config = attention.config
    mistral = config.model_type == "mistral"
    window = config.sliding_window if mistral else getattr(attention, "sliding_window", None)
    return (
        (layer.input_layernorm, layer.post_attention_layernorm),
        (getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)),
        (config.num_attention_heads, config.num_key_value_heads),
        ScoreRule(float(attention.scaling), window),
    )


class _Layer:
    """One layer: attention and feed-forward, each behind a norm and beside a shortcut."""

    def __init__(self, number: int, layer: Any, linears: _Linears) -> None:
        self._number = number
        self._linears = linears
        self._norms, self._head_norms, self._heads, self._rule = _facts(layer)

    def __call__(
        self,
        x_NE: Tensor,
        cos_N1D: Tensor,
        sin_N1D: Tensor,
        plan: AttentionPlan,
        dtype: torch.dtype,
    ) -> Tensor:
        linears, (H, K) = self._linears, self._heads
        heads = linears.queries_keys_values(_normed(x_NE, self._norms[0], dtype))
        heads = heads.view(len(x_NE), H + 2 * K, -1)
        turned, value_NKD = heads[:, : H + K], heads[:, H + K :]
        if self._head_norms[0] is not None:
            query = _normed(turned[:, :H], self._head_norms[0], dtype)
            key = _normed(turned[:, H:], self._head_norms[1], dtype)
            turned = torch.cat((query, key), dim=1)
        turned = rotate(turned, cos_N1D, sin_N1D)
        attended_NHD = plan.attend(
            self._number,
            turned[:, :H],
            turned[:, H:],
            value_NKD,
            self._rule,
        )
        x_NE = x_NE + linears.attention_output(attended_NHD.reshape(len(x_NE), -1))
        inner = swiglu(*linears.gate_and_up(_normed(x_NE, self._norms[1], dtype)))
        return x_NE + linears.down(inner)


class _LeanLayer:
    """The same off the processor, without gradients: of the model's own weights, in few operators."""

    def __init__(self, number: int, layer: Any) -> None:
        self._number = number
        self._attention, self._mlp = layer.self_attn, layer.mlp
        self._norms, self._head_norms, self._heads, self._rule = _facts(layer)

    def __call__(
        self,
        x_NE: Tensor,
        cos_N1D: Tensor,
        sin_N1D: Tensor,
        plan: AttentionPlan,
        dtype: torch.dtype,
    ) -> Tensor:
        attended_NO = self._attended(
            _normed(x_NE, self._norms[0], dtype), cos_N1D, sin_N1D, plan, dtype
        )
        x_NE = added_product(x_NE, self._attention.o_proj, attended_NO)
        normed = _normed(x_NE, self._norms[1], dtype)
        inner = swiglu(self._mlp.gate_proj(normed), self._mlp.up_proj(normed))
        return added_product(x_NE, self._mlp.down_proj, inner)

    def _attended(
        self,
        x_NE: Tensor,
        cos_N1D: Tensor,
        sin_N1D: Tensor,
        plan: AttentionPlan,
        dtype: torch.dtype,
    ) -> Tensor:
        attention, (H, K), D = self._attention, self._heads, cos_N1D.shape[-1]
        flat = x_NE.new_empty(len(x_NE), (H + K) * D)
        heads = x_NE.new_empty(len(x_NE), H + 2 * K, D)
        product_into(flat[:, : H * D], attention.q_proj, x_NE)
        product_into(flat[:, H * D :], attention.k_proj, x_NE)
        product_into(heads.flatten(1)[:, (H + K) * D :], attention.v_proj, x_NE)
        straight = flat.view(len(x_NE), H + K, D)
        if self._head_norms[0] is not None:
            query = _normed(straight[:, :H], self._head_norms[0], dtype)
            key = _normed(straight[:, H:], self._head_norms[1], dtype)
            straight = torch.cat((query, key), dim=1)
        rotate_into(heads[:, : H + K], straight, cos_N1D, sin_N1D)
        if isinstance(plan, SlotCache):
            attended_NHD = plan.attend_heads(self._number, heads, H, self._rule)
        else:
            query, key, value = heads.split([H, K, K], dim=1)
            attended_NHD = plan.attend(self._number, query, key, value, self._rule)
        return attended_NHD.reshape(len(x_NE), -1)


def _normed(x: Tensor, norm: Any, dtype: torch.dtype) -> Tensor:
    return rms_norm(x, norm.weight, norm.variance_epsilon, dtype)


class _PackedLayers:
    """The matrix products of all layers in one precision, as the parameters were when it was made."""

    def __init__(self, body: Any, dtype: torch.dtype) -> None:
        self.state = _state(body)
        self.layers = [_Layer(i, part, _Packed(part, dtype)) for i, part in enumerate(body.layers)]


class _PackedHead:
    """The projection to the vocabulary; apart, because an adapter leaves it as it is."""

    def __init__(self, head: nn.Module, dtype: torch.dtype) -> None:
        self.state = _state(head)
        self.project = PackedLinear([head], dtype)


def _products(layer: Any) -> list[nn.Module]:
    """The linear modules of a layer."""
    attention, mlp = layer.self_attn, layer.mlp
    own = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
    return [*own, mlp.gate_proj, mlp.up_proj, mlp.down_proj]


def _state(module: nn.Module) -> list[tuple[int, int]]:
    """Changes whenever a parameter is replaced or written to."""
    return [(parameter.data_ptr(), parameter._version) for parameter in module.parameters()]


class Decoder:
    """Embedding, layers and last norm of a model that `supports` it.

    `dtype` is the precision of passes without gradients.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self._model = model
        self._dtype = dtype
        body: Any = model.base_model
        self._live = [_Layer(i, part, _Live(part)) for i, part in enumerate(body.layers)]
        self._lean = [_LeanLayer(i, part) for i, part in enumerate(body.layers)]
        self._packed: _PackedLayers | None = None
        self._packing = Lock()  # passes may run side by side
        self._packed_head: _PackedHead | None = None

    @staticmethod
    def supports(model: PreTrainedModel) -> bool:
        """Whether the model's architecture is one of those written here."""
        config = model.config
        if config.model_type not in KINDS or config.hidden_act != "silu":
            return False
        return float(getattr(config, "partial_rotary_factor", None) or 1.0) == 1.0

    def _frozen_layers(self) -> Sequence[_Layer | _LeanLayer]:
        body: Any = self._model.base_model
        if reads_own_weights(
            (each for part in body.layers for each in _products(part)), self._dtype
        ):
            return self._lean
        with self._packing:
            if self._packed is None or self._packed.state != _state(body):
                self._packed = None  # the old copies go before the new ones come
                self._packed = _PackedLayers(body, self._dtype)
            return self._packed.layers

    def head(self, hidden_NE: Tensor) -> Tensor:
        """Logits (N, V) of the token behind each hidden state, without gradients."""
        head = self._model.get_output_embeddings()
        assert isinstance(head, nn.Module)
        with self._packing:
            if self._packed_head is None or self._packed_head.state != _state(head):
                self._packed_head = None
                self._packed_head = _PackedHead(head, self._dtype)
            project = self._packed_head.project
        return project(hidden_NE)

    def forget(self) -> None:
        """Drops the packed copies; the next pass without gradients makes them anew."""
        self._packed = self._packed_head = None

    def _forget_what_learns(self) -> None:
        """Drops copies of what a learning pass is about to change."""
        self._packed = None
        head = self._model.get_output_embeddings()
        if head is not None and any(p.requires_grad for p in head.parameters()):
            self._packed_head = None

    def hidden(
        self, tokens_N: Tensor, positions_N: Tensor, plan: AttentionPlan, layers: int | None = None
    ) -> Tensor:
        """Hidden states (N, E) behind the last norm, or behind the first `layers` layers, unnormed."""
        body: Any = self._model.base_model
        x_NE = embedded(body.embed_tokens.weight, tokens_N)
        if torch.is_grad_enabled():
            self._forget_what_learns()
            stack: Sequence[_Layer | _LeanLayer] = self._live
            kind = x_NE.device.type
            dtype = (
                torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x_NE.dtype
            )
        else:
            stack, dtype = self._frozen_layers(), self._dtype
            x_NE = x_NE.to(dtype)
        cos, sin = body.rotary_emb(x_NE[None], position_ids=positions_N[None])
        cos_N1D, sin_N1D = (part[0].unsqueeze(1).to(dtype) for part in (cos, sin))
        for layer in stack[:layers]:
            x_NE = layer(x_NE, cos_N1D, sin_N1D, plan, dtype)
        return x_NE if layers is not None else _normed(x_NE, body.norm, x_NE.dtype)
