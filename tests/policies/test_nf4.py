"""Adapters on weights that are held in 4 bits: the numbers of the pass with those weights whole."""

from __future__ import annotations

import copy
import sys

import pytest
import torch
from torch import nn

from tiny import texts, tiny
from truing.models.engine.tree import PromptWithContinuations
from truing.models.language_model import LanguageModel
from truing.models.nf4 import NF4Linear, hold_in_nf4
from truing.policies.language import LanguagePolicy, PromptCompletion, text_log_probs
from truing.policies.trajectories import length_mask
from truing.spec.reading import make_spec
from truing.spec.run import AdapterSpec
from truing.types import InputError

FAMILIES = ("llama", "qwen3", "gemma3")
LORA = AdapterSpec(kind="lora", rank=4)


def held(family: str) -> tuple[LanguageModel, LanguageModel]:
    """A model in 4 bits, and one with the weights that those stand for."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes isn't installed")
    model = tiny(family)
    hold_in_nf4(model.model, model.model.get_output_embeddings())
    whole = copy.deepcopy(model.model)
    for name, module in list(whole.named_modules()):
        if isinstance(module, NF4Linear):
            parent, _, child = name.rpartition(".")
            linear = nn.Linear(*reversed(module.weight.shape), bias=module.bias is not None)
            linear.weight, linear.bias = nn.Parameter(module.weight), module.bias
            setattr(whole.get_submodule(parent), child, linear)
    return model, LanguageModel(whole, model.tokenizer)


def learned(model: LanguageModel) -> tuple[LanguagePolicy, torch.Tensor]:
    policy = LanguagePolicy(model, model, LORA, "float32", seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in policy.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    prompt, *answers = texts(3, [9, 5, 7])
    actions = [PromptCompletion(tuple(prompt), tuple(answer)) for answer in answers]
    log_probs_BT = text_log_probs(policy.trained, actions, length_mask([5, 7]))
    (log_probs_BT * torch.arange(14).view(2, 7)).sum().backward()
    return policy, log_probs_BT.detach()


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_the_dequantised_weights(family: str) -> None:
    (policy, found), (plain, expected) = (learned(model) for model in held(family))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    assert policy.parameters.keys() == plain.parameters.keys() and policy.parameters
    for name, parameter in plain.parameters.items():
        torch.testing.assert_close(
            policy.parameters[name].grad, parameter.grad, atol=1e-6, rtol=1e-6
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_passes_without_gradients_too_and_both_share_what_is_held(family: str) -> None:
    model, whole = held(family)
    policy = LanguagePolicy(model, model, LORA, "float32", seed=1)
    prompt, answer = texts(4, [9, 6])
    requests = [PromptWithContinuations(prompt, [answer])]
    expected = whole.score(requests)[0][0].token_log_probs
    for each in (model, policy.trained):
        found = each.score(requests)[0][0].token_log_probs
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    layers = {id(m) for m in model.model.modules() if isinstance(m, NF4Linear)}
    assert {id(m) for m in policy.trained.model.modules() if isinstance(m, NF4Linear)} == layers
    held_bytes = sum(m.nbytes for m in model.model.modules() if isinstance(m, NF4Linear))
    numbers = sum(m.weight.numel() for m in model.model.modules() if isinstance(m, NF4Linear))
    assert held_bytes <= numbers * (0.5 + 4 / 64) * 1.1


def test_without_bitsandbytes_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    model = tiny()
    with pytest.raises(InputError, match=r"^compute.base_precision: nf4 needs bitsandbytes"):
        hold_in_nf4(model.model, None)
    assert not any(isinstance(m, NF4Linear) for m in model.model.modules())


def test_all_weights_are_not_trained_in_4_bits() -> None:
    spec = {"compute": {"base_precision": "nf4"}, "sft": {"adapter": {"kind": "full"}}}
    with pytest.raises(InputError, match=r"compute.base_precision: nf4 holds .* sft.adapter.kind"):
        make_spec(spec)
    make_spec({"compute": {"base_precision": "nf4"}})
