"""Frozen weights laid out for the processor's matrix products.

Products with few rows (sampling: one for each completion) spend their time on reading the weights;
oneDNN reads a layout of its own about twice as fast as rows of a plain matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from truing.models.engine import kernels, panels
from truing.models.engine.float_products import FloatPanels
from truing.models.engine.kernels import array_of, team_of
from truing.models.engine.operators import Gate, geglu, swiglu

_ACTIVATIONS: dict[Gate, tuple[str, str]] = {swiglu: ("swish", ""), geglu: ("gelu", "tanh")}
"""Of gates, as oneDNN calls them: a product's last step, before its numbers are rounded and written."""
ROWS = 32  # the number of rows that the layout is chosen for; others work as well


def _can_pack(weight: Tensor) -> bool:
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


def takes_panels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether products there are our own; see panels.py."""
    return device.type == "cpu" and dtype == torch.float32 and panels.can_multiply("float32")


class PackedLinear:
    """x W^T + b for one or several stacked linear layers that share their input, in one precision.

    Holds a copy: later changes of the layers don't reach it. No gradient flows through it. A layer
    with a `merged()` weight (an adapter) gives that.
    """

    def __init__(self, layers: Sequence[nn.Module], dtype: torch.dtype) -> None:
        weights = [_weight(layer).to(dtype) for layer in layers]
        weight = torch.cat(weights) if len(weights) > 1 else weights[0]
        biases = [_bias(layer) for layer in layers]
        self._bias = (
            torch.cat([b.to(dtype) for b in biases if b is not None])
            if biases[0] is not None
            else None
        )
        self.device = weight.device
        self._panels = FloatPanels(weight) if takes_panels(weight.device, weight.dtype) else None
        self._packed = self._panels is None and _can_pack(weight)
        if self._packed:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS)
        self._weight = weight if self._panels is None else weight.new_empty(0)

    def __call__(self, x_NI: Tensor) -> Tensor:
        """(N, O)."""
        if self._panels is not None:
            found_NO = self._panels(x_NI)
            return found_NO if self._bias is None else found_NO.add_(self._bias)
        if self._packed:
            return self._product(x_NI, "none", "")
        return F.linear(x_NI, self._weight, self._bias)

    def gated(self, x_NI: Tensor, other: PackedLinear, gate: Gate) -> Tensor:
        """gate(this, other), of the products of both with x: (N, O)."""
        if not (self._packed and other._packed and gate in _ACTIVATIONS):
            return gate(self(x_NI), other(x_NI))
        activated_NO = self._product(x_NI, *_ACTIVATIONS[gate])
        return torch.ops.mkldnn._linear_pointwise.binary(  # type: ignore[no-any-return]
            x_NI, activated_NO, other._weight, other._bias, "mul"
        )

    def _product(self, x_NI: Tensor, activation: str, algorithm: str) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(  # type: ignore[no-any-return]
            x_NI, self._weight, self._bias, activation, [], algorithm
        )


def gated_halves(gate_up_NF: Tensor, gate: Gate) -> Tensor:
    """gate(first half, second half) of float32 rows on the processor: (N, F / 2)."""
    if gate is not swiglu:
        return gate(*gate_up_NF.chunk(2, dim=-1))
    N, F = gate_up_NF.shape
    inner_NF = torch.empty(N, F // 2)
    kernels.swiglu(*team_of(N), array_of(gate_up_NF), array_of(inner_NF))
    return inner_NF


def _weight(layer: nn.Module) -> Tensor:
    merged = getattr(layer, "merged", None)
    weight = merged() if merged is not None else layer.weight
    assert isinstance(weight, Tensor)
    return weight.detach()


def _bias(layer: nn.Module) -> Tensor | None:
    base = getattr(layer, "base", layer)
    bias = getattr(base, "bias", None)
    return None if bias is None else bias.detach()
