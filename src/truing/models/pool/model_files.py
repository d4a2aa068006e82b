"""Which files a model is made of, so that any process can load the very same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from truing.models.identity import ModelIdentity, identity_of
from truing.models.language_model import LanguageModel
from truing.models.loading import read_tokenizer, read_weights
from truing.models.precision import torch_dtype
from truing.models.weights.adapter_folders import merge
from truing.models.weights.tensors import is_stored_in
from truing.types import Dtype


@dataclass(frozen=True)
class ModelFiles:
    """Folders of whole weights, of a tokenizer, and of an adapter that is merged into the weights, if any.

    `name` is what a machine that lacks the folders may call the weights.
    """

    weights: Path
    tokenizer: Path
    dtype: Dtype
    adapter: Path | None = None
    name: str = ""

    @property
    def identity(self) -> ModelIdentity:
        """What decides its answers."""
        return identity_of(self.adapter or self.weights, self.weights, self.tokenizer)

    def load(self) -> LanguageModel:
        """The model; an adapter is merged in float32, then all is rounded.

        Weights that are stored in bfloat16 lose nothing in it: they are held in float32 one layer at a
        time. Raises InputError where a file is missing or can't be read.
        """
        if self.adapter is None:
            return LanguageModel(
                read_weights(self.weights, self.dtype), read_tokenizer(self.tokenizer)
            )
        lossless = torch_dtype(self.dtype) == torch.bfloat16 and is_stored_in("BF16", self.weights)
        whole = LanguageModel.load(self.weights, self.dtype if lossless else "float32")
        rounded = merge(whole.model, self.adapter).to(torch_dtype(self.dtype))  # type: ignore[arg-type]
        return LanguageModel(rounded, read_tokenizer(self.tokenizer))

    def to_json(self) -> dict[str, Any]:
        """For a worker."""
        return {
            "weights": str(self.weights.absolute()),
            "tokenizer": str(self.tokenizer.absolute()),
            "dtype": self.dtype,
            "adapter": str(self.adapter.absolute()) if self.adapter else None,
            "name": self.name,
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ModelFiles:
        """The inverse of `to_json`."""
        adapter = data["adapter"]
        return ModelFiles(
            Path(data["weights"]),
            Path(data["tokenizer"]),
            data["dtype"],
            Path(adapter) if adapter else None,
            str(data["name"]),
        )
