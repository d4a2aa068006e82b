"""The part of a spec that says where and how a run is computed. Nothing in it changes what the run means;
what it changes of numbers, the run's identity names as it turned out."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from truing.spec.contrast import is_none
from truing.spec.part import Part
from truing.spec.sampler import (
    SAME,
    WORKERS,
    Products,
    is_usual,
    products_of,
    sampler_place,
    servers_of,
)

Checkpointing = Literal["auto", "always", "never"]
Shard = Literal["auto", "none", "full"]
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
    sampler: Annotated[str | tuple[str, ...], AfterValidator(sampler_place)] = Field(
        SAME,
        exclude_if=is_usual,
        description="how answers are sampled in reinforcement learning: as is learned (same); in float32 "
        "on a processor with products in 8 bits (int8), faster; by the processes that --workers names "
        "(workers); or by vLLM servers, vllm:URL or a list of such; the difference is corrected for as "
        "rl.correction says",
    )
    sampler_rows: int | None = Field(
        None,
        ge=1,
        exclude_if=is_none,
        description="how many answers of a step are sampled side by side at most, which decides their last "
        "digits; without it, as many as is fastest in one process, and 64 with --workers",
    )
    sampler_folder: str | None = Field(
        None,
        exclude_if=is_none,
        description="a folder that both this process and the servers see, where adapters are handed over; "
        "without it, one in the run's",
    )
    sampler_key_variable: str | None = Field(
        None,
        exclude_if=is_none,
        description="the environment variable with the servers' key; without it, TRUING_ENDPOINT_KEY",
    )

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers that sample; none where answers are sampled here."""
        return servers_of(self.sampler)

    @property
    def is_sampled_apart(self) -> bool:
        """Whether others than this process sample."""
        return bool(self.servers) or self.sampler == WORKERS

    @property
    def sampler_products(self) -> Products:
        """What a policy samples with here."""
        return products_of(self.sampler)

    @model_validator(mode="after")
    def _of_servers(self) -> Self:
        for name in ("sampler_folder", "sampler_key_variable"):
            if getattr(self, name) is not None and not self.servers:
                raise ValueError(f"{name}: is for servers that sample; name them as sampler")
        return self
