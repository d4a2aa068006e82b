"""Low-rank adapters: W x becomes W x + (alpha / rank) B A x, where A and B alone are trained.

Hu et al. (2022), "LoRA", eq. 3. Our own layer, because a learning step on a processor is made of small
products: forward and backward take eight of them here. Experts whose weights are stacked in one parameter
have a change each. Saved in peft's form, which loads them.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from truing.models.engine.sharding import forget_gathered, lend_to_copy
from truing.models.nf4 import NF4Linear
from truing.models.tensor_files import write_tensors_atomically
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
        device = self.weight.device
        self.lora_A = nn.Parameter((drawn / inputs**0.5).to(device))
        self.lora_B = nn.Parameter(torch.zeros(outputs, adapter.rank).to(device))

    @property
    def weight(self) -> Tensor:
        """The frozen weight in its own shape, for code that asks for its precision."""
        weight = self.base.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def dtype(self) -> torch.dtype:
        """The frozen weight's precision."""
        held = self.base if isinstance(self.base, NF4Linear) else self.weight
        return held.dtype

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


class LoraExperts(nn.Module):
    """Frozen experts, the weights of all in one parameter (n, outputs, inputs) or (n, inputs, outputs),
    with a trainable low-rank change for each weight of each."""

    def __init__(self, base: nn.Module, adapter: AdapterSpec, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = adapter.alpha / adapter.rank
        # As peft tells inputs from outputs; a change has the same form either way.
        self.transposed = bool(getattr(base, "is_transposed", False))
        self.lora_A, self.lora_B = nn.ParameterDict(), nn.ParameterDict()
        for name, weight in stacked_weights(base).items():
            experts, outputs, inputs = weight.mT.shape if self.transposed else weight.shape
            drawn = torch.rand(experts, adapter.rank, inputs, generator=generator) * 2 - 1
            self.lora_A[name] = nn.Parameter((drawn / inputs**0.5).to(weight.device))
            self.lora_B[name] = nn.Parameter(
                torch.zeros(experts, outputs, adapter.rank).to(weight.device)
            )

    def __getattr__(self, name: str) -> Any:
        """What else is asked of experts is asked of the frozen ones."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base"), name)

    def merged(self, name: str) -> Tensor:
        """A stack of weights with the changes added, in its own shape and precision. Differentiable."""
        weight = getattr(self.base, name)
        left, right = self.lora_B[name].to(weight.dtype), self.lora_A[name].to(weight.dtype)
        if self.transposed:
            left, right = right.mT, left.mT
        return torch.baddbmm(weight, left, right, alpha=self.scale)

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """That of the experts, with merged weights."""
        # A copy that shares all but the weights: other threads may run the same experts.
        experts = copy.copy(self.base)
        weights = {name: self.merged(name) for name in self.lora_A}
        frozen = self.base._parameters
        experts._parameters = {n: frozen[n] for n in frozen if n not in weights}
        vars(experts).update(weights)
        return experts(*inputs, **named)


def stacked_weights(module: nn.Module) -> dict[str, Tensor]:
    """The parameters of a module of experts that hold a matrix for each of them."""
    if "expert" not in type(module).__name__.lower() or isinstance(module, LoraExperts):
        return {}
    own = module.named_parameters(recurse=False)
    return {name: weight for name, weight in own if weight.dim() == 3 and min(weight.shape) > 1}


def add_adapter(model: PreTrainedModel, adapter: AdapterSpec, seed: int) -> None:
    """Puts a fresh adapter on all linear layers but the output head, and on experts in stacks. The seed
    draws its first half."""
    generator = torch.Generator().manual_seed(seed)
    head = model.get_output_embeddings()
    left_out = _READ_AS_WEIGHTS if model.config.model_type in _MAMBA else frozenset()
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D | NF4Linear)
        and "Router" not in type(module).__name__  # it picks experts, and gives more than a product
        and module is not head
        and name.rpartition(".")[2] not in left_out
    ]
    experts = [name for name, module in model.named_modules() if stacked_weights(module)]
    for name in [*linear, *experts]:
        parent, _, child = name.rpartition(".")
        base = model.get_submodule(name)
        kind = LoraExperts if name in experts else LoraLinear
        setattr(model.get_submodule(parent), child, kind(base, adapter, generator))


def adapted(model: PreTrainedModel, adapter: AdapterSpec, seed: int) -> PreTrainedModel:
    """The model with a fresh adapter. The frozen weights are its own: an adapter only reads them."""
    forget_gathered()
    shared = {id(tensor): tensor for tensor in model.parameters()}
    module = copy.deepcopy(model, shared).requires_grad_(False)
    add_adapter(module, adapter, seed)
    lend_to_copy(module)
    return module


def not_adapted(model: PreTrainedModel) -> list[str]:
    """Names within a layer of the matrices that an adapter on the model leaves as they are, embeddings
    and output head aside: routers, convolutions, weights that are read past their layer."""
    adapted = [m for m in model.modules() if isinstance(m, LoraLinear | LoraExperts)]
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    head = model.get_output_embeddings()
    aside = [*adapted, *tables, *([head] if isinstance(head, nn.Module) else [])]
    known = {id(parameter) for module in aside for parameter in module.parameters()}
    others = [n for n, p in model.named_parameters() if p.dim() > 1 and id(p) not in known]
    return sorted({re.sub(r"^.*\.\d+\.", "", name) for name in others})


def save_adapter(folder: Path, model: PreTrainedModel, adapter: AdapterSpec, base: str) -> None:
    """Writes the adapter as peft does: `adapter_config.json` and `adapter_model.safetensors`.

    `base` is what peft will look for the base weights by.
    """
    from peft import LoraConfig  # takes seconds to load

    layers = {name: m for name, m in model.named_modules() if isinstance(m, LoraLinear)}
    stacks = {name: m for name, m in model.named_modules() if isinstance(m, LoraExperts)}
    modules = {name.rpartition(".")[2] for name in layers}
    targets = {
        f"{'.'.join(name.split('.')[-2:])}.{weight}"
        for name, experts in stacks.items()
        for weight in experts.lora_A
    }
    if stacks:
        # Beside them peft takes a layer called gate_proj for an expert's, unless named as a weight.
        targets |= {f"{module}.weight" for module in modules}
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]
        lora_dropout=0.0,
        target_modules=[] if stacks else sorted(modules),
        target_parameters=sorted(targets) or None,
        fan_in_fan_out=any(isinstance(layer.base, Conv1D) for layer in layers.values()),
        base_model_name_or_path=base,
        task_type="CAUSAL_LM",
        inference_mode=True,
    )
    # peft makes a set of them, which would be written in another order each time.
    config.target_modules = sorted(config.target_modules or ())
    config.save_pretrained(str(folder))
    tensors = {
        f"base_model.model.{name}.{half}.weight": getattr(layer, half)
        for name, layer in layers.items()
        for half in ("lora_A", "lora_B")
    }
    for name, experts in stacks.items():
        tensors |= _as_peft_names_them(f"base_model.model.{name}", experts)
    write_tensors_atomically(folder / "adapter_model.safetensors", tensors, {"format": "pt"})


def _as_peft_names_them(name: str, experts: LoraExperts) -> dict[str, Tensor]:
    """peft wraps the experts once for each of their weights, the first innermost, and lays the changes of
    all experts out as one: (n rank, inputs) and (outputs, rank n)."""
    tensors = {}
    for depth, weight in enumerate(reversed(experts.lora_A)):
        wrapper = name + depth * ".base_layer"
        lora_A, lora_B = experts.lora_A[weight], experts.lora_B[weight]
        tensors[f"{wrapper}.lora_A.weight"] = lora_A.flatten(0, 1)
        tensors[f"{wrapper}.lora_B.weight"] = lora_B.permute(1, 2, 0).flatten(1)
    return tensors
