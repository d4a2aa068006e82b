"""Low-rank adapters (Hu et al., 2022) through peft, and weights with the adapter merged in."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from truing.spec import AdapterSpec


def with_adapter(
    model: PreTrainedModel, adapter: AdapterSpec, seed: int
) -> tuple[nn.Module, PreTrainedModel]:
    """The model with a fresh adapter on all its linear layers, as (peft's wrapper, the model itself).

    The adapter starts as no change at all; the seed draws its first matrices.
    """
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft still asks for an attribute that transformers has renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        torch.manual_seed(seed)
        wrapper = get_peft_model(model, config)
    inner = wrapper.base_model.model
    assert isinstance(inner, PreTrainedModel)
    return wrapper, inner


def merged_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The parameters that training changed, under the names they have without an adapter.

    Without an adapter: all that require a gradient. With one: W + (alpha / rank) B A.
    """
    adapted = False
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            adapted = True
            weight = module.get_base_layer().weight
            change = module.get_delta_weight("default")  # type: ignore[attr-defined]
            yield f"{name}.weight", weight.float() + change.float()
    if not adapted:
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                yield name, parameter
