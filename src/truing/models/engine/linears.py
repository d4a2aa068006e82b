"""The matrix products of a decoder's layers: through the model's own modules, or through packed copies."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from truing.models.engine.operators import Gate
from truing.models.engine.packed import PackedLinear, gated_halves, takes_panels


class Linears(Protocol):
    """The matrix products of one layer."""

    def queries_keys_values(self, x_NE: Tensor) -> Tensor:
        """Projections for attention, side by side: (N, (H + 2 K) D)."""
        ...

    def attention_output(self, x_NO: Tensor) -> Tensor:
        """(N, E)."""
        ...

    def gated(self, x_NE: Tensor, gate: Gate) -> Tensor:
        """The inner projections of the feed-forward part, joined by its gate: (N, F)."""
        ...

    def down(self, x_NF: Tensor) -> Tensor:
        """(N, E)."""
        ...


def with_one_input(layer: Any) -> list[list[nn.Module]]:
    """The linear modules of a layer, those that share their input together."""
    attention, mlp = layer.self_attn, layer.mlp
    return [
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    ]


class Live:
    """Through the model's own modules: gradients and adapters work."""

    def __init__(self, layer: Any) -> None:
        self._attention, self._mlp = layer.self_attn, layer.mlp

    def queries_keys_values(self, x_NE: Tensor) -> Tensor:
        """See Linears."""
        attention = self._attention
        return torch.cat(
            [p(x_NE) for p in (attention.q_proj, attention.k_proj, attention.v_proj)], -1
        )

    def attention_output(self, x_NO: Tensor) -> Tensor:
        """See Linears."""
        return self._attention.o_proj(x_NO)  # type: ignore[no-any-return]

    def gated(self, x_NE: Tensor, gate: Gate) -> Tensor:
        """See Linears."""
        return gate(self._mlp.gate_proj(x_NE), self._mlp.up_proj(x_NE))

    def down(self, x_NF: Tensor) -> Tensor:
        """See Linears."""
        return self._mlp.down_proj(x_NF)  # type: ignore[no-any-return]


class Packed:
    """Through frozen copies, layers with the same input as one product."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.queries_keys_values = PackedLinear(
            [attention.q_proj, attention.k_proj, attention.v_proj], dtype
        )
        self.attention_output = PackedLinear([attention.o_proj], dtype)
        self.down = PackedLinear([mlp.down_proj], dtype)
        self._gate_up: PackedLinear | None = None
        if takes_panels(self.down.device, dtype):
            self._gate_up = PackedLinear([mlp.gate_proj, mlp.up_proj], dtype)
            return
        self._gate, self._up = (
            PackedLinear([each], dtype) for each in (mlp.gate_proj, mlp.up_proj)
        )

    def gated(self, x_NE: Tensor, gate: Gate) -> Tensor:
        """See Linears."""
        if self._gate_up is not None:
            return gated_halves(self._gate_up(x_NE), gate)
        return self._gate.gated(x_NE, self._up, gate)
