"""Products in eight-bit integers on the processor, for passes that only have to be fast: a sampler's.

Weights are rounded to whole multiples of a 127th of the largest of their output channel. Activations are
rounded anew in each pass, by the largest of their row (dynamic quantisation; Dettmers et al., 2022,
"LLM.int8()", section 2.1): to two integers, the second a 254th of the first, because a few channels of a
language model are so large that one leaves little of the others (ibid., section 3; docs/speed.md).

    y_no = (m_n / 127) (w_o / 127) sum_i (q_ni + r_ni / 254) q_oi        m_n = max_i |x_ni|
    q_ni = round(127 x_ni / m_n),    r_ni = trunc(254 (127 x_ni / m_n - q_ni))

Products of the integers and their sums are exact, so that a row's numbers don't depend on the other rows of
a pass, nor on threads. oneDNN multiplies in its own layout of the weights, and both integers at once, as
rows. A low-rank adapter stays beside them in float32: its matrices change with every update, and laying out
all weights takes as long as sampling does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from truing.models import processor
from truing.models.engine import kernels, panels
from truing.models.engine.integer_products import FOUR, IntegerPanels, rows_with_room
from truing.models.engine.kernels import array_of, team_of
from truing.models.engine.operators import Gate
from truing.models.engine.packed import gated_halves

_LARGEST = 127
_LEAST = 1e-30  # what a row or a channel of zeros is divided by
_CHUNK = 1 << 17  # weights that are rounded at once, so that a core's own cache holds them


def why_not(device: torch.device) -> str:
    """Why products in int8 aren't to be had on a device; empty where they are."""
    if device.type != "cpu":
        return f"{device.type} isn't the processor"
    return "" if multiplies_int8() else "this processor lacks instructions for it (VNNI)"


@cache
def multiplies_int8() -> bool:
    """Whether the processor has instructions for it, and oneDNN's sums are exact at their largest.

    Without them pairs of products are cut off at 16 bits, or it takes longer than float32.
    """
    vnni = torch.cpu._is_vnni_supported() or "avx_vnni" in processor.instructions()
    return vnni and torch.backends.mkldnn.is_available() and _is_exact()


@torch.inference_mode()
def _is_exact() -> bool:
    sizes = torch.full((2, 64), _LARGEST, dtype=torch.int8)
    sizes[1, ::2] = -_LARGEST
    try:
        found_NO = _product(sizes, _laid_out(sizes), torch.ones(2), torch.zeros(2).long())
    except RuntimeError:
        return False
    return torch.equal(found_NO.long(), sizes.long() @ sizes.long().T)


def rounded(x_NI: Tensor) -> tuple[Tensor, Tensor]:
    """Rows as integers (N, I) from -127 to 127, and the largest number of each, at least 1e-30: (N, 1)."""
    largest_N1 = _largest(x_NI)
    return (x_NI * (_LARGEST / largest_N1)).round_().to(torch.int8), largest_N1


def rounded_twice(x_NI: Tensor, above: int = 0) -> tuple[Tensor, Tensor]:
    """Rows as integers (N, I), below them (2 N, I in all) what those leave, in 254ths; and the largest
    number of each, at least 1e-30: (N,). `above` is added to all integers, in eight bits.

    A row that isn't finite has a largest number that isn't, and so no finite product.
    """
    N, I = x_NI.shape  # noqa: E741
    integers, largest_N = rows_with_room(2 * N, I), torch.empty(N)
    into = array_of(integers), array_of(largest_N)
    kernels.rounded_twice(*team_of(N), array_of(x_NI.contiguous()), np.int32(above), *into)
    return integers, largest_N


def _largest(x_NI: Tensor) -> Tensor:
    return x_NI.abs().amax(-1, keepdim=True).clamp_min_(_LEAST)


def _laid_out(integers_OI: Tensor) -> Tensor:
    return torch.ops.onednn.qlinear_prepack(integers_OI, None)  # type: ignore[no-any-return]


def _product(integers_NI: Tensor, laid_out: Tensor, scale_O: Tensor, zeros_O: Tensor) -> Tensor:
    """(N, O) in float32: sums of products of integers, times the scale of each column."""
    return torch.ops.onednn.qlinear_pointwise(  # type: ignore[no-any-return]
        integers_NI, 1.0, 0, laid_out, scale_O, zeros_O, None, 1.0, 0, torch.float32, "none", [], ""
    )


class _OneDnn:
    """Products with integers (O, I) in oneDNN's layout; as IntegerPanels."""

    above = 0

    def __init__(self, integers_OI: Tensor, scale_O: Tensor) -> None:
        self._scale_O = scale_O
        self._zeros_O = torch.zeros(len(scale_O), dtype=torch.long)
        self._laid_out = _laid_out(integers_OI)

    def __call__(self, integers: Tensor, largest_N: Tensor) -> Tensor:
        both = _product(integers, self._laid_out, self._scale_O, self._zeros_O)
        found_NO = torch.empty(len(largest_N), both.shape[1])
        kernels.joined(array_of(both), array_of(largest_N), array_of(found_NO))
        return found_NO


def _product_of(integers_OI: Tensor, scale_O: Tensor) -> _OneDnn | IntegerPanels:
    if panels.can_multiply("int8") and integers_OI.shape[1] % FOUR == 0:
        return IntegerPanels(integers_OI, scale_O)
    return _OneDnn(integers_OI, scale_O)


class Int8Weights:
    """Frozen weights (O, I) of linear layers that share their input, one below the other, in integers."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        parts = [
            rounded(rows.float())
            for weight_OI in map(_base_weight, layers)
            for rows in weight_OI.split(max(1, _CHUNK // weight_OI.shape[1]))
        ]
        integers, largest = zip(*parts, strict=True)
        self._product = _product_of(torch.cat(integers), torch.cat(largest)[:, 0] / _LARGEST**2)

    def __call__(self, x_NI: Tensor) -> Tensor:
        """(N, O) in float32."""
        return self._product(*rounded_twice(x_NI, self._product.above))


def stored_bytes(weight_OI: Tensor) -> int:
    """What an Int8Weights takes of these weights at most, but for columns that fill up a panel: integers,
    and of each output channel its scale (4), zero (8) and a sum of integers (4)."""
    return weight_OI.numel() + 16 * len(weight_OI)


class Int8Linear:
    """x W^T + b of linear layers that share their input, side by side: as `PackedLinear`, with weights in
    integers and what an adapter adds to them in float32."""

    def __init__(self, layers: Sequence[nn.Module], weights: Int8Weights) -> None:
        self._weights = weights
        biases = [getattr(getattr(layer, "base", layer), "bias", None) for layer in layers]
        parts = [bias.detach().float() for bias in biases if bias is not None]
        self._bias_O = torch.cat(parts) if parts else None
        self._down_RI, self._up_RO = _low_rank(layers)

    def __call__(self, x_NI: Tensor) -> Tensor:
        """(N, O)."""
        found_NO = self._weights(x_NI)
        if self._up_RO is not None:
            found_NO.addmm_(x_NI @ self._down_RI.t(), self._up_RO)
        return found_NO if self._bias_O is None else found_NO.add_(self._bias_O)


def _base_weight(layer: nn.Module) -> Tensor:
    """(O, I) without an adapter's change."""
    weight = getattr(layer, "weight_OI", layer.weight)
    assert isinstance(weight, Tensor)
    return weight.detach()


def _low_rank(layers: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
    """What adapters add to all layers, as two matrices: (R, I) and, with their scales, (R, O).

    Ranks are one behind the other, and each reaches its own layer's outputs alone.
    """
    adapted = [hasattr(layer, "lora_A") for layer in layers]
    if not any(adapted):
        return torch.zeros(0, 0), None
    outputs = [
        len(layer.lora_B if has else layer.weight)
        for layer, has in zip(layers, adapted, strict=True)
    ]
    of_each = [layer for layer, has in zip(layers, adapted, strict=True) if has]
    down_RI = torch.cat([layer.lora_A.detach() for layer in of_each]).contiguous()
    up_RO = down_RI.new_zeros(len(down_RI), sum(outputs))
    rank, place = 0, 0
    for layer, has, count in zip(layers, adapted, outputs, strict=True):
        if has:
            own = layer.lora_B.detach().t() * layer.scale
            up_RO[rank : rank + len(own), place : place + count] = own
            rank += len(own)
        place += count
    return down_RI, up_RO


class Int8:
    """The matrix products of one layer; see Linears."""

    def __init__(
        self, groups: Sequence[Sequence[nn.Module]], weights: Sequence[Int8Weights]
    ) -> None:
        """`groups`: the linear modules of a layer, those that share their input together, in its order."""
        products = [Int8Linear(*pair) for pair in zip(groups, weights, strict=True)]
        self.queries_keys_values, self.attention_output, self._gate_up, self.down = products

    def gated(self, x_NE: Tensor, gate: Gate) -> Tensor:
        """See Linears."""
        return gated_halves(self._gate_up(x_NE), gate)
