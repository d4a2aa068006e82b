"""When a learning pass keeps its layers' inputs alone: where the memory that is free can't hold the rest.

What is kept decides how much memory a pass takes and how long, never its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

from torch import Tensor

from truing.models.engine.checkpointing import Checkpoints, checkpointed, layers_of
from truing.models.engine.memory import available_bytes
from truing.models.engine.sharding import shards_of
from truing.models.language_model import LanguageModel
from truing.spec.compute import Checkpointing
from truing.types import InputError


@contextmanager
def within_memory(
    model: LanguageModel, when: Checkpointing, trained: Iterable[Tensor]
) -> Iterator[None]:
    """While it lasts, learning passes of the model keep what `when` says.

    `auto` leaves room for gradients of the `trained` parameters that aren't there yet. Raises InputError
    where `always` isn't possible, because the model's layers aren't a list.
    """
    layers = None if when == "never" else layers_of(model.model)
    if layers is None:
        _check_optional(model, when)
        yield
        return
    room = 0
    if when == "auto":
        gradients = sum(parameter.nbytes for parameter in trained if parameter.grad is None)
        room = available_bytes(model.device) - gradients
    gathered = (matrix for shard in shards_of(model.model) for matrix in shard.matrices)
    checkpoints = Checkpoints(len(layers), room, chain(model.model.parameters(), gathered))
    decoder = model.decoder
    run = (
        checkpointed(layers, checkpoints) if decoder is None else decoder.checkpointed(checkpoints)
    )
    try:
        with run:
            yield
    finally:
        checkpoints.release()


def _check_optional(model: LanguageModel, when: Checkpointing) -> None:
    """Raises InputError where layers that can't be told apart are to be computed again."""
    if when == "always":
        raise InputError(
            f"compute.checkpointing: {type(model.model).__name__} has no list of layers that could be "
            "computed again; set it to never"
        )
