"""When a learning pass keeps its layers' inputs alone: where the memory that is free can't hold the rest.

What is kept decides how much memory a pass takes and how long, never its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor

from truing.models.engine.checkpointing import Checkpoints, checkpointed, layers_of
from truing.models.engine.memory import available_bytes
from truing.models.language_model import LanguageModel
from truing.spec.compute import Checkpointing
from truing.types import InputError


def within_memory(
    model: LanguageModel, when: Checkpointing, trained: Iterable[Tensor]
) -> AbstractContextManager[None]:
    """While it lasts, learning passes of the model keep what `when` says.

    `auto` leaves room for gradients of the `trained` parameters that aren't there yet. Raises InputError
    where `always` isn't possible, because the model's layers aren't a list.
    """
    if when == "never":
        return nullcontext()
    room = 0
    if when == "auto":
        gradients = sum(parameter.nbytes for parameter in trained if parameter.grad is None)
        room = available_bytes(model.device) - gradients
    layers = layers_of(model.model)
    if layers is None:
        if when == "auto":
            return nullcontext()
        raise InputError(
            f"compute.checkpointing: {type(model.model).__name__} has no list of layers that could be "
            "computed again; set it to never"
        )
    checkpoints = Checkpoints(len(layers), room, model.model.parameters())
    if model.decoder is not None:
        return model.decoder.checkpointed(checkpoints)
    return checkpointed(layers, checkpoints)
