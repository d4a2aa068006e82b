"""Products with a model's own weights, without gradients, in as few operators as there can be.

Off the processor nothing is gained by another layout, and a second copy of the weights is what there is no
room for. An adapter is applied beside the weights, as in learning, so that the numbers are the learner's.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def reads_own_weights(layers: Iterable[nn.Module], dtype: torch.dtype) -> bool:
    """Whether linear layers can be called as they are in passes of this precision: they aren't on the
    processor, and their weights have that precision or a form that only they can read."""
    for layer in layers:
        weight = getattr(getattr(layer, "base", layer), "weight", None)
        if not isinstance(weight, Tensor) or weight.device.type == "cpu":
            return False
        if weight.is_floating_point() and weight.dtype != dtype:
            return False
    return True


def _matrix(layer: nn.Module, x: Tensor) -> tuple[Tensor, Tensor | None] | None:
    """Weight (O, I) and bias of a layer that is nothing else, in the precision of x; else None."""
    if type(layer) is not nn.Linear or layer.weight.dtype != x.dtype:
        return None
    return layer.weight, getattr(layer, "bias", None)


def product_into(out_NO: Tensor, layer: nn.Module, x_NI: Tensor) -> None:
    """Writes what a linear layer gives."""
    if (matrix := _matrix(layer, x_NI)) is None:
        out_NO.copy_(layer(x_NI))
        return
    weight_OI, bias_O = matrix
    if bias_O is None:
        torch.mm(x_NI, weight_OI.t(), out=out_NO)
    else:
        torch.addmm(bias_O, x_NI, weight_OI.t(), out=out_NO)


def added_product(beside_NO: Tensor, layer: nn.Module, x_NI: Tensor) -> Tensor:
    """What a linear layer gives, added to what stands beside it."""
    matrix = _matrix(layer, x_NI)
    if matrix is None or matrix[1] is not None or beside_NO.dtype != x_NI.dtype:
        return beside_NO + layer(x_NI)  # type: ignore[no-any-return]
    return torch.addmm(beside_NO, x_NI, matrix[0].t())
