"""Layers that keep their inputs alone in a pass with gradients, and compute the rest again.

What a layer leaves for the backward pass is ten to twenty times as large as its input. Chen et al. (2016),
"Training deep nets with sublinear memory cost", keep inputs and pay with a second forward pass. It does the
same operations on the same numbers, so gradients are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

Forward = Callable[..., Any]
_KEEPS = ContextVar("keeps", default=True)
_SPARE = 1.25  # the backward pass needs more than what was kept for it: gradients of what it is at


def layers_of(model: PreTrainedModel) -> nn.ModuleList | None:
    """The model's list of layers: the first list of modules with as many as its configuration says."""
    count = model.config.get_text_config().num_hidden_layers
    for module in model.base_model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    return None


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Passes within it do what learning passes do, and keep nothing: they can't have a gradient."""
    token = _KEEPS.set(False)
    try:
        with torch.autograd.graph.saved_tensors_hooks(_dropped, _missed):
            yield
    finally:
        _KEEPS.reset(token)


def _dropped(saved: Tensor) -> None:
    """What stands for a tensor that would be kept for a backward pass."""


def _missed(dropped: object) -> Tensor:
    raise RuntimeError("this pass has kept nothing for a gradient")


class KeptBytes(torch.autograd.graph.saved_tensors_hooks):
    """Counts what passes within it keep for their gradients: each storage once, `known` ones never."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__(self._counted, lambda kept: kept)
        self._known = {tensor.untyped_storage()._cdata for tensor in known}
        self._storages: dict[int, Any] = {}

    def _counted(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._known:
            self._storages[storage._cdata] = storage  # held, so that no other gets its address
        # Without its history: an operator that holds its own output with it is never freed, unless a
        # backward pass goes through it.
        return tensor.detach()

    @property
    def total(self) -> int:
        """Bytes so far."""
        return sum(storage.nbytes() for storage in self._storages.values())

    def release(self) -> None:
        """Holds nothing any more: the backward pass then frees what it has been through, at once."""
        self._storages.clear()


class Checkpoints:
    """Decides, layer by layer, which keep their inputs alone in one pass with gradients.

    The first layers keep everything, until what all `layers` would keep at this rate no longer fits into
    `room` bytes; from there on inputs alone are kept. Without room it is every layer.
    """

    def __init__(self, layers: int, room: int, weights: Iterable[Tensor]) -> None:
        self._layers, self._room, self._run = layers, room, 0
        self._kept = KeptBytes(weights)
        self._full = room <= 0

    def release(self) -> None:
        """To be called when the pass has run: what its layers keep is the graph's alone from then on."""
        self._kept.release()

    def around(self, layer: Forward) -> Forward:
        """A layer that gives the same."""

        def call(*inputs: Any, **named: Any) -> Any:
            if not torch.is_grad_enabled() or not _KEEPS.get():
                return layer(*inputs, **named)
            if self._full:
                # Some models' attention reads its plan from the context, which the backward pass hasn't.
                run = partial(copy_context().run, layer)
                # Nothing is drawn in a layer: models are in evaluation mode here.
                return checkpoint(
                    run, *inputs, use_reentrant=False, preserve_rng_state=False, **named
                )
            with self._kept:
                output = layer(*inputs, **named)
            self._run += 1
            kept, left = self._kept.total, -self._run % self._layers
            self._full = _SPARE * (kept + left * kept / self._run) > self._room
            return output

        return call


@contextmanager
def checkpointed(layers: nn.ModuleList, checkpoints: Checkpoints) -> Iterator[None]:
    """While it lasts, these layers run as `checkpoints` say. The backward pass may come later."""
    # A layer may stand in the list several times.
    distinct = list({id(layer): layer for layer in layers}.values())
    for layer in distinct:
        layer.forward = checkpoints.around(layer.forward)
    try:
        yield
    finally:
        for layer in distinct:
            del layer.forward
