"""The part of a spec that says where a run is computed. Nothing in it changes what the run means."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from truing.spec.contrast import is_none
from truing.spec.part import Part
from truing.spec.sampler import HERE, is_here, sampler_place, servers_of

Checkpointing = Literal["auto", "always", "never"]
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
    base_precision: Literal["same", "nf4"] = Field(
        "same",
        description="how weights that a low-rank adapter leaves as they are are held in training: in the "
        "run's precision, or in 4 bits (nf4, which needs bitsandbytes)",
    )
    sampler: Annotated[str | tuple[str, ...], AfterValidator(sampler_place)] = Field(
        HERE,
        exclude_if=is_here,
        description="where the answers of reinforcement learning are sampled: here, or by vLLM servers, "
        "vllm:URL or a list of such",
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

    @model_validator(mode="after")
    def _of_servers(self) -> Self:
        for name in ("sampler_folder", "sampler_key_variable"):
            if getattr(self, name) is not None and not self.servers:
                raise ValueError(f"{name}: is for servers that sample; name them as sampler")
        return self
