"""Low-rank adapters: W x becomes W x + (alpha / rank) B A x, where A and B alone are trained.

Hu et al. (2022), "LoRA", eq. 3. Our own layer, because a learning step on a processor is made of small
products: forward and backward take eight of them here. Saved in peft's form, which loads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from truing.files import write_file_atomically
from truing.models.nf4 import NF4Linear
from truing.spec.run import AdapterSpec

_MAMBA = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})
_READ_AS_WEIGHTS = frozenset({"conv1d", "dt_proj", "out_proj"})
"""Layers of such models whose weights are read past the layer, where an adapter has no effect; peft
refuses adapters on them."""


class _LowRankProduct(torch.autograd.Function):
    """x W^T + scale (x A^T) B^T with a frozen W, in W's precision; gradients of A and B in theirs.

    W is asked of its layer in both passes: one that is held in fewer bits isn't kept whole in between.
    """

    @staticmethod
    def forward(
        ctx: Any, x_NI: Tensor, layer: LoraLinear, a_RI: Tensor, b_OR: Tensor, scale: float
    ) -> Tensor:
        weight_OI = layer.weight_OI
        a, b = a_RI.to(weight_OI.dtype), b_OR.to(weight_OI.dtype)
        inner_NR = x_NI @ a.T
        ctx.save_for_backward(x_NI, a, b, inner_NR)
        ctx.layer, ctx.scale = layer, scale
        return (x_NI @ weight_OI.T).addmm_(inner_NR, b.T, alpha=scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        (gradient_NO,) = gradients
        x_NI, a_RI, b_OR, inner_NR = ctx.saved_tensors
        grad_inner_NR = (gradient_NO @ b_OR).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (gradient_NO @ ctx.layer.weight_OI).addmm_(grad_inner_NR, a_RI)
        grad_a = (grad_inner_NR.T @ x_NI).float()
        grad_b = (gradient_NO.T @ inner_NR).float().mul_(ctx.scale)
        return grad_x, None, grad_a, grad_b, None


class LoraLinear(nn.Module):
    """A frozen linear layer with a trainable low-rank change, which starts as no change at all."""

    def __init__(self, base: nn.Module, adapter: AdapterSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = adapter.alpha / adapter.rank
        outputs, inputs = self.weight_OI.shape
        # Uniform with variance 1 / (3 inputs), as peft draws it.
        drawn = torch.rand(adapter.rank, inputs, generator=generator) * 2 - 1
        device, self.dtype = self.weight.device, self.weight.dtype
        self.lora_A = nn.Parameter((drawn / inputs**0.5).to(device))
        self.lora_B = nn.Parameter(torch.zeros(outputs, adapter.rank).to(device))

    @property
    def weight(self) -> Tensor:
        """The frozen weight in its own shape, for code that asks for its precision."""
        weight = self.base.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def weight_OI(self) -> Tensor:
        """The frozen weight (outputs, inputs)."""
        return self.weight.T if isinstance(self.base, Conv1D) else self.weight

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        rows_NI = x.reshape(-1, x.shape[-1]).to(self.dtype)
        rows_NO = _LowRankProduct.apply(  # type: ignore[no-untyped-call]
            rows_NI, self, self.lora_A, self.lora_B, self.scale
        )
        if self.base.bias is not None:
            rows_NO = rows_NO + self.base.bias
        return rows_NO.view(*x.shape[:-1], -1)  # type: ignore[no-any-return]

    def merged(self) -> Tensor:
        """Weight of the base layer with the change added, in its own shape and precision."""
        weight_OI = self.weight_OI
        a, b = self.lora_A.to(weight_OI.dtype), self.lora_B.to(weight_OI.dtype)
        merged_OI = torch.addmm(weight_OI, b, a, alpha=self.scale)
        return merged_OI.T if isinstance(self.base, Conv1D) else merged_OI


def add_adapter(model: PreTrainedModel, adapter: AdapterSpec, seed: int) -> None:
    """Puts a fresh adapter on all linear layers but the output head. The seed draws its first half."""
    generator = torch.Generator().manual_seed(seed)
    head = model.get_output_embeddings()
    left_out = _READ_AS_WEIGHTS if model.config.model_type in _MAMBA else frozenset()
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D | NF4Linear)
        and module is not head
        and name.rpartition(".")[2] not in left_out
    ]
    for name in linear:
        parent, _, child = name.rpartition(".")
        base = model.get_submodule(name)
        setattr(model.get_submodule(parent), child, LoraLinear(base, adapter, generator))


def save_adapter(folder: Path, model: PreTrainedModel, adapter: AdapterSpec, base: str) -> None:
    """Writes the adapter as peft does: `adapter_config.json` and `adapter_model.safetensors`.

    `base` is what peft will look for the base weights by.
    """
    from peft import LoraConfig  # takes seconds to load

    layers = {name: m for name, m in model.named_modules() if isinstance(m, LoraLinear)}
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=sorted({name.rpartition(".")[2] for name in layers}),
        fan_in_fan_out=any(isinstance(layer.base, Conv1D) for layer in layers.values()),
        base_model_name_or_path=base,
        task_type="CAUSAL_LM",
        inference_mode=True,
    )
    # peft makes a set of them, which would be written in another order each time.
    config.target_modules = sorted(config.target_modules or ())
    config.save_pretrained(str(folder))
    tensors = {
        f"base_model.model.{name}.{half}.weight": getattr(layer, half).detach().contiguous()
        for name, layer in layers.items()
        for half in ("lora_A", "lora_B")
    }
    write_file_atomically(
        folder / "adapter_model.safetensors",
        lambda path: save_file(tensors, path, {"format": "pt"}),
    )
