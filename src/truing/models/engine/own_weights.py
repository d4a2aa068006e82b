"""Products with a model's own weights, without gradients, in as few operators as there can be.

Off the processor nothing is gained by another layout, and a second copy of the weights is what there is no
room for. An adapter is applied beside the weights, as in learning, so that the numbers are the learner's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_STAY = frozenset(["cpu", "meta"])  # devices on which weights stay where they are


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


def lay_together(layers: Sequence[nn.Module]) -> None:
    """Puts the weights of linear layers that share their input behind one another in memory, off the
    processor: there they are one product. Each layer keeps a weight of its own, a part of the whole."""
    matrices = [layer for layer in layers if type(layer) is nn.Linear]
    kinds = {(each.weight.device.type, each.weight.dtype) for each in matrices}
    if len(matrices) < len(layers) or len(kinds) > 1 or {kind for kind, _ in kinds} & _STAY:
        return
    if _whole(matrices) is not None:
        return
    for name in ("weight", "bias"):
        parts = [part for each in matrices if (part := getattr(each, name)) is not None]
        if len(parts) < len(matrices):
            continue
        with torch.no_grad(), torch.inference_mode(mode=False):
            whole, start = torch.cat([part.detach() for part in parts]), 0
            for each, part in zip(matrices, parts, strict=True):
                own = whole.narrow(0, start, len(part))
                setattr(each, name, nn.Parameter(own, requires_grad=part.requires_grad))
                start += len(part)


def _whole(layers: Sequence[nn.Linear]) -> tuple[Tensor, Tensor | None] | None:
    """Weight and bias of all layers as one, where they lie behind one another."""
    weight = _behind_one_another([layer.weight for layer in layers])
    biases = [layer.bias for layer in layers if layer.bias is not None]
    bias = _behind_one_another(biases) if biases else None
    if weight is None or (biases and (bias is None or len(biases) < len(layers))):
        return None
    return weight, bias


def _behind_one_another(parts: Sequence[Tensor]) -> Tensor | None:
    """One view of all parts, along their first axis."""
    first = parts[0].detach()
    storage, place = first.untyped_storage().data_ptr(), first.storage_offset()
    for part in parts:
        same = part.untyped_storage().data_ptr() == storage and part.storage_offset() == place
        if not same or not part.is_contiguous():
            return None
        place += part.numel()
    shape = (sum(map(len, parts)), *first.shape[1:])
    return first.as_strided(shape, first.stride(), first.storage_offset())


class Together:
    """Products of one input with several layers; one product where `lay_together` put them so and nobody
    has moved them since. Without gradients."""

    def __init__(self) -> None:
        self._state: list[int] = []
        self._matrix: tuple[Tensor, Tensor | None] | None = None

    def side_by_side(self, layers: Sequence[nn.Module], x_NI: Tensor) -> Tensor:
        """(N, the sum of their outputs)."""
        matrix = self._current(layers, x_NI)
        if matrix is None:
            return torch.cat([layer(x_NI) for layer in layers], dim=-1)
        return F.linear(x_NI, *matrix)

    def of_each(self, layers: Sequence[nn.Module], x_NI: Tensor) -> Sequence[Tensor]:
        """(N, outputs) of each layer; all have as many."""
        matrix = self._current(layers, x_NI)
        if matrix is None:
            return [layer(x_NI) for layer in layers]
        return F.linear(x_NI, *matrix).chunk(len(layers), dim=-1)

    def _current(
        self, layers: Sequence[nn.Module], x: Tensor
    ) -> tuple[Tensor, Tensor | None] | None:
        """The whole of the layers' matrices, if there is one."""
        matrices = [matrix for layer in layers if (matrix := _matrix(layer, x)) is not None]
        if len(matrices) < len(layers):
            self._state, self._matrix = [], None
            return None
        state = [part.data_ptr() for pair in matrices for part in pair if part is not None]
        if state != self._state:
            self._state = state
            self._matrix = _whole([each for each in layers if isinstance(each, nn.Linear)])
        return self._matrix


def added_product(beside_NO: Tensor, layer: nn.Module, x_NI: Tensor) -> Tensor:
    """What a linear layer gives, added to what stands beside it."""
    matrix = _matrix(layer, x_NI)
    if matrix is None or matrix[1] is not None or beside_NO.dtype != x_NI.dtype:
        return beside_NO + layer(x_NI)  # type: ignore[no-any-return]
    return torch.addmm(beside_NO, x_NI, matrix[0].t())
