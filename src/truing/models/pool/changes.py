"""An adapter in training as workers are sent it: numbers under their hash, beside weights that they hold.

A worker is told the hash first, and asks for the numbers where it doesn't have them: each gets them once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from truing.models.adapter import adapted
from truing.models.language_model import LanguageModel
from truing.spec.run import AdapterSpec
from truing.types import InputError


@dataclass(frozen=True)
class Change:
    """A low-rank adapter: its form, and its numbers by their parameters' names. With `int8` the changed
    model samples in eight-bit products."""

    adapter: AdapterSpec
    tensors: Mapping[str, Tensor]
    int8: bool = False

    @cached_property
    def hash(self) -> str:
        """Of the numbers, their names and precisions."""
        return hash_of(self.tensors)

    def to_json(self) -> dict[str, Any]:
        """All but the numbers."""
        return {"hash": self.hash, "adapter": self.adapter.model_dump(), "int8": self.int8}

    @staticmethod
    def from_json(data: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Change:
        """The inverse of `to_json`. Raises InputError where the numbers aren't those of the hash."""
        change = Change(AdapterSpec(**data["adapter"]), tensors, bool(data["int8"]))
        if change.hash != data["hash"]:
            raise InputError(
                f"workers: an adapter came that isn't the one that was named ({change.hash[:12]} in place "
                f"of {data['hash'][:12]}); start the command again"
            )
        return change

    def applied(self, base: LanguageModel) -> LanguageModel:
        """The changed model; the weights that stay are the base's own. Raises InputError where the adapter
        is of another model."""
        module = adapted(base.model, self.adapter, seed=0)
        own = {name: each for name, each in module.named_parameters() if each.requires_grad}
        if {n: p.shape for n, p in own.items()} != {n: t.shape for n, t in self.tensors.items()}:
            raise InputError(
                "workers: an adapter came that is of another model; name the same weights"
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(self.tensors[name])
        return LanguageModel(module, base.tokenizer, base.dtype, int8=self.int8)


def hash_of(tensors: Mapping[str, Tensor]) -> str:
    """Of tensors and their names, whatever their order."""
    ordered = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    return hashlib.sha256(save(ordered)).hexdigest()
