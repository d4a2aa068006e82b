"""An adapter that was learned together with a head: the base reads answers with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.models.adapter import adapted
from truing.models.language_model import LanguageModel
from truing.spec.methods import AdapterSpec


@dataclass(frozen=True)
class RewardAdapter:
    """What was learned of an adapter, by the names that its parameters have on the model.

    Layers above the one that is read aren't among them: what they do reaches no score.
    """

    rank: int
    alpha: float
    parameters: Mapping[str, Tensor]

    @torch.no_grad()
    def on(self, model: LanguageModel) -> LanguageModel:
        """The model with it, in the model's precision; the frozen weights are shared.

        Raises KeyError or RuntimeError where the model has no such parameters.
        """
        module = adapted(model.model, AdapterSpec(rank=self.rank, alpha=self.alpha), seed=0)
        own = dict(module.named_parameters())
        for name, value in self.parameters.items():
            own[name].copy_(value)
        return LanguageModel(module.requires_grad_(False), model.tokenizer, model.dtype)
