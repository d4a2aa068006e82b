"""Frozen weights in 4 bits: NF4 with a scale for every 64 numbers (Dettmers et al., 2023, "QLoRA").

A pass makes a layer's weight whole when it needs it and lets it go. What adapters learn on is the
rounded weight; nothing else is approximate.
"""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from truing.types import InputError


class NF4Linear(nn.Module):
    """A linear layer whose weight is held in 4 bits and can't be trained."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._functional = _bitsandbytes()
        self._packed, self._state = self._functional.quantize_4bit(
            layer.weight.detach().contiguous(), blocksize=64, quant_type="nf4"
        )
        self.bias, self.dtype = layer.bias, layer.weight.dtype

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing in it ever changes

    @property
    def weight(self) -> Tensor:
        """The weight (outputs, inputs) in the precision that it had, made anew each time."""
        weight = self._functional.dequantize_4bit(self._packed, self._state)
        assert isinstance(weight, Tensor)
        return weight

    @property
    def nbytes(self) -> int:
        """What is held."""
        return int(self._packed.nbytes + self._state.absmax.nbytes)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return F.linear(x, self.weight, self.bias)


def _bitsandbytes() -> Any:
    try:
        import bitsandbytes.functional as functional
    except ImportError:
        raise InputError(
            "compute.base_precision: nf4 needs bitsandbytes, which isn't installed: "
            "pip install 'truing[nf4]'"
        ) from None
    return functional


@torch.no_grad()
def hold_in_nf4(model: nn.Module, head: object) -> None:
    """Puts `NF4Linear` in place of every linear layer but the output `head`, one after the other.

    Raises InputError where bitsandbytes isn't installed, or the model has no such layer.
    """
    _bitsandbytes()
    names = [n for n, m in model.named_modules() if type(m) is nn.Linear and m is not head]
    if not names:
        raise InputError(
            f"compute.base_precision: {type(model).__name__} has no linear layers that nf4 could hold; "
            "set it to same"
        )
    for name in names:
        parent, _, child = name.rpartition(".")
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        setattr(model.get_submodule(parent), child, NF4Linear(layer))
