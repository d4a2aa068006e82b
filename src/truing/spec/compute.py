"""The part of a spec that says where and how a run is computed. Nothing in it changes what the run means;
what it changes of numbers, the run's identity names as it turned out."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from truing.spec.part import Part

Checkpointing = Literal["auto", "always", "never"]
Shard = Literal["auto", "none", "full"]
Sampler = Literal["same", "int8"]
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


def device_name(name: str) -> str:
    """The name itself. Raises ValueError where it can be no device's."""
    if not _DEVICE.fullmatch(name):
        raise ValueError("no device; give auto, cpu, cuda, cuda:N or mps")
    return name


class ComputeSpec(Part):
    """Where a run is computed."""

    device: Annotated[str, AfterValidator(device_name)] = Field(
        "auto", description="auto (a card where there is one), cpu, cuda, cuda:N or mps"
    )
    checkpointing: Checkpointing = Field(
        "auto",
        description="whether a learning pass keeps its layers' inputs alone and computes the rest again: "
        "auto (where the rest doesn't fit into the free memory), always or never; the numbers are the "
        "same",
    )
    shard: Shard = Field(
        "auto",
        description="whether processes that train together share out the weights of the model's layers "
        "(FSDP2), so that no card has to hold them all: full, none, or auto (what `accelerate launch "
        "--use_fsdp` says, else none); one process holds everything",
    )
    base_precision: Literal["same", "nf4"] = Field(
        "same",
        description="how weights that a low-rank adapter leaves as they are are held in training: in the "
        "run's precision, or in 4 bits (nf4, which needs bitsandbytes)",
    )
    sampler: Sampler = Field(
        "same",
        description="how answers are sampled in reinforcement learning in float32 on a processor: with the "
        "products that are learned with, or with such in 8 bits (int8), faster; the difference is "
        "corrected for as rl.correction says",
    )
