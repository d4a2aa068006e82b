"""Adapters on experts whose weights are stacked: a change for each, its gradient, what peft makes of it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import PreTrainedModel

from families import plain
from tiny import alone, texts, tokenizer
from truing.models.adapter import LoraExperts, add_adapter, not_adapted, save_adapter
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.weights.adapter_folders import merge
from truing.spec.run import AdapterSpec

ADAPTER = AdapterSpec(kind="lora", rank=2, alpha=3)
FUSED = ("Mixtral", "Qwen 3 MoE", "GPT-OSS", "Llama 4", "DeepSeek V3", "Granite MoE")


def requests() -> list[PromptWithContinuations]:
    prompt, *answers = texts(3, [6, 5, 1, 4])
    return [PromptWithContinuations(prompt, answers)]


def adapted(name: str) -> PreTrainedModel:
    """With changes that are no longer nothing."""
    model = plain(name).requires_grad_(False)
    add_adapter(model, ADAPTER, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_B" in key:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def experts_of(model: PreTrainedModel) -> dict[str, LoraExperts]:
    return {name: m for name, m in model.named_modules() if isinstance(m, LoraExperts)}


@pytest.mark.parametrize("name", FUSED)
def test_gradients_are_those_of_the_merged_weights(name: str) -> None:
    model, oracle = adapted(name).double(), plain(name).double()
    changes = {}
    with torch.no_grad():  # by hand, an expert at a time
        for key, experts in experts_of(model).items():
            for weight, lora_A in experts.lora_A.items():
                change = torch.stack(
                    [1.5 * b @ a for a, b in zip(lora_A, experts.lora_B[weight], strict=True)]
                )
                stack = oracle.get_submodule(key).get_parameter(weight)
                changes[key, weight] = change.mT if experts.transposed else change
                stack += changes[key, weight]
        for key, module in model.named_modules():
            if hasattr(module, "lora_A") and key not in experts_of(model):
                oracle.get_submodule(key).weight.copy_(module.merged())
    assert changes and len(experts_of(model)) in (1, 2)
    text = torch.tensor(texts(3, [12, 12]))
    for each in (model, oracle):
        each.set_experts_implementation("eager")  # the default has no products in float64
        scores = each(input_ids=text, use_cache=False).logits.log_softmax(-1)
        scores[:, :, 3].sum().backward()
    for key, experts in experts_of(model).items():
        for weight, lora_A in experts.lora_A.items():
            gradient = oracle.get_submodule(key).get_parameter(weight).grad
            gradient = gradient.mT if experts.transposed else gradient  # (n, outputs, inputs)
            lora_B = experts.lora_B[weight]
            by_hand = (1.5 * gradient @ lora_A.mT, 1.5 * lora_B.mT @ gradient)
            for found, wanted in zip((lora_B.grad, lora_A.grad), by_hand, strict=True):
                assert float((found - wanted).norm()) <= 1e-6 * float(wanted.norm())
            assert lora_A.grad.flatten(1).any(1).sum() > 1  # more than one expert learned


@pytest.mark.parametrize("name", FUSED)
def test_packed_passes_have_the_changes(name: str) -> None:
    model, oracle = adapted(name), adapted(name)
    expected = torch.cat([alone(oracle, r.prompt, c) for r in requests() for c in r.continuations])
    ours = LanguageModel(model, tokenizer())
    log_probs = ours.continuation_log_probs(TokenTree(requests()))
    torch.testing.assert_close(log_probs, expected, atol=2e-5, rtol=1e-5)
    log_probs.sum().backward()
    expected.sum().backward()
    wanted = {n: p.grad for n, p in oracle.named_parameters() if "lora" in n}
    for key, parameter in model.named_parameters():
        if key in wanted and wanted[key] is not None:
            close = 1e-5 * max(1.0, float(wanted[key].abs().max()))
            torch.testing.assert_close(parameter.grad, wanted[key], atol=close, rtol=1e-4)


@pytest.mark.parametrize("name", FUSED)
def test_peft_loads_and_merges_what_was_saved(name: str, tmp_path: Path) -> None:
    model, base = adapted(name), tmp_path / "base"
    plain(name).save_pretrained(base)
    save_adapter(tmp_path / "adapter", model, ADAPTER, str(base))
    [request] = requests()
    with torch.no_grad():
        expected = [alone(model, request.prompt, c) for c in request.continuations]
        bare = [alone(plain(name), request.prompt, c) for c in request.continuations]
        loaded = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.float32)
        merged = merge(plain(name), tmp_path / "adapter")
        for oracle in (loaded, merged):
            scores = [alone(oracle, request.prompt, c) for c in request.continuations]
            torch.testing.assert_close(scores, expected, atol=2e-5, rtol=1e-5)
    assert float((torch.cat(expected) - torch.cat(bare)).abs().max()) > 0.05


def test_a_fresh_adapter_changes_nothing_and_its_seed_draws_it() -> None:
    prompt, answer = texts(3, [6, 5])
    first, again, other = (plain("Mixtral").requires_grad_(False) for _ in range(3))
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        add_adapter(model, ADAPTER, seed)
    with torch.no_grad():
        assert torch.equal(alone(first, prompt, answer), alone(plain("Mixtral"), prompt, answer))
    drawn = [next(iter(experts_of(m).values())).lora_A["down_proj"] for m in (first, again, other)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    frozen = copy.deepcopy(first)
    learning = {n for n, p in frozen.named_parameters() if p.requires_grad}
    assert learning == {n for n, _ in frozen.named_parameters() if "lora" in n}


def test_what_an_adapter_leaves_out_is_named() -> None:
    names = {}
    for name in ("Llama", "Mixtral", "Qwen 3 Next", "Mamba"):
        model = plain(name).requires_grad_(False)
        add_adapter(model, ADAPTER, seed=1)
        names[name] = not_adapted(model)
    assert names == {
        "Llama": [],
        "Mixtral": ["mlp.gate.weight"],
        "Qwen 3 Next": ["linear_attn.conv1d.weight", "mlp.gate.weight"],
        "Mamba": [
            "mixer.A_log",
            "mixer.conv1d.weight",
            "mixer.dt_proj.weight",
            "mixer.out_proj.weight",
        ],
    }
