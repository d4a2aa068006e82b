"""The base of a run whose processes share out its weights."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from truing.models import devices
from truing.models.engine.sharding import all_processes, shard_layers
from truing.models.language_model import LanguageModel
from truing.runs.ranks import Ranks
from truing.spec.compute import ComputeSpec
from truing.spec.run import Spec
from truing.types import InputError

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})


def is_set(name: str) -> bool:
    """Whether an environment variable says so, as `accelerate launch` writes it."""
    return os.environ.get(name, "").lower() in _TRUE


def shares_out(compute: ComputeSpec) -> bool:
    """Whether each process holds a part of the weights.

    Raises InputError where they are held in a form that can't be shared out, or on another device than
    the one where processes meet.
    """
    asked = compute.shard == "full" or (compute.shard == "auto" and is_set("ACCELERATE_USE_FSDP"))
    if not asked or Ranks().count == 1:
        return False
    if compute.base_precision == "nf4":
        raise InputError(
            "compute.shard: weights in 4 bits (compute.base_precision: nf4) can't be shared out over "
            "processes; set one of the two to its default"
        )
    if compute.sampler == "int8":
        raise InputError(
            "compute.sampler: int8 samples with copies of all weights, and compute.shard is for weights "
            "that one process can't hold; set one of the two to its default"
        )
    if compute.servers:
        raise InputError(
            "compute.sampler: servers are sent whole adapters, and compute.shard shares them out over "
            "processes; set one of the two to its default"
        )
    if torch.cuda.is_available() and compute.device == "cpu":
        raise InputError(
            "compute.shard: processes meet on the cards here, but compute.device is cpu; hide the cards "
            "(CUDA_VISIBLE_DEVICES=''), or compute on them"
        )
    return True


def load_base(folder: Path, spec: Spec) -> LanguageModel:
    """The base's weights in the spec's precision; this process's part, where they are shared out."""
    if not shares_out(spec.compute):
        return LanguageModel.load(folder, spec.dtype)
    device = devices.device()
    all_processes(device.type)

    def loaded() -> LanguageModel:
        model = LanguageModel.load(folder, spec.dtype, to_share_out=True)
        shard_layers(model.model, device)
        return model

    # The machine's memory holds the whole once at a time.
    return Ranks().in_turn(loaded)
