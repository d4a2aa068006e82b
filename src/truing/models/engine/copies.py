"""Copies of a decoder's weights for passes without gradients on the processor, as products want them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from truing.models.engine.int8 import Int8, Int8Linear, Int8Weights
from truing.models.engine.linears import Linears, Packed, with_one_input
from truing.models.engine.packed import PackedLinear

State = list[tuple[int, int]]


def state_of(module: nn.Module) -> State:
    """Changes whenever a parameter is replaced or written to."""
    return [(parameter.data_ptr(), parameter._version) for parameter in module.parameters()]


class Copies(Protocol):
    """A way to copy weights. What it gives holds the parameters as they are now."""

    def of_layers(self, body: Any) -> Sequence[Linears]:
        """The matrix products of each layer."""
        ...

    def of_head(self, head: nn.Module) -> Callable[[Tensor], Tensor]:
        """The projection to the vocabulary."""
        ...

    def forget(self, *, learning_only: bool) -> None:
        """Drops what is kept for the next time; `learning_only` of what a gradient changes."""
        ...


class FloatCopies:
    """In a floating-point precision, adapters merged in; see Copies."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def of_layers(self, body: Any) -> Sequence[Linears]:
        """See Copies."""
        return [Packed(layer, self._dtype) for layer in body.layers]

    def of_head(self, head: nn.Module) -> Callable[[Tensor], Tensor]:
        """See Copies."""
        return PackedLinear([head], self._dtype)

    def forget(self, *, learning_only: bool) -> None:
        """See Copies. Nothing is kept."""


class Int8Copies:
    """In eight-bit integers, adapters beside them in float32; see Copies.

    Integers of weights that haven't changed are kept: an update of an adapter leaves all as they are.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], tuple[State, bool, Int8Weights]] = {}

    def of_layers(self, body: Any) -> Sequence[Linears]:
        """See Copies."""
        return [
            Int8(groups, [self._weights((number, n), group) for n, group in enumerate(groups)])
            for number, groups in enumerate(map(with_one_input, body.layers))
        ]

    def _weights(self, place: tuple[int, int], layers: Sequence[nn.Module]) -> Int8Weights:
        bases = nn.ModuleList(getattr(layer, "base", layer) for layer in layers)
        state = state_of(bases)
        if place not in self._kept or self._kept[place][0] != state:
            self._kept.pop(place, None)  # the old go before the new come
            learns = any(parameter.requires_grad for parameter in bases.parameters())
            self._kept[place] = (state, learns, Int8Weights(layers))
        return self._kept[place][2]

    def of_head(self, head: nn.Module) -> Callable[[Tensor], Tensor]:
        """See Copies."""
        return Int8Linear([head], Int8Weights([head]))

    def forget(self, *, learning_only: bool) -> None:
        """See Copies."""
        self._kept = {at: kept for at, kept in self._kept.items() if learning_only and not kept[1]}
