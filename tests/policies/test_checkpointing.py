"""Learning passes whose layers keep their inputs alone: the same numbers, less memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    GptOssConfig,
    GraniteConfig,
    MambaConfig,
    PreTrainedConfig,
)

from tiny import END, FAMILIES, VOCABULARY, texts, tiny, tokenizer
from truing.learn.own_passes import log_probs_now
from truing.models.engine import checkpointing as engine
from truing.models.engine.checkpointing import KeptBytes, layers_of
from truing.models.language_model import LanguageModel
from truing.policies import checkpointing as module
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask
from truing.spec.compute import Checkpointing
from truing.spec.run import AdapterSpec
from truing.types import InputError

ADAPTERS = [AdapterSpec(kind="lora", rank=4), AdapterSpec(kind="full")]
LIKE_LLAMA = {
    "vocab_size": len(VOCABULARY),
    "eos_token_id": END,
    "bos_token_id": None,
    "pad_token_id": None,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
OTHERS: dict[
    str, PreTrainedConfig
] = {  # models that are run text by text, or have passes of their own
    "granite": GraniteConfig(**LIKE_LLAMA, logits_scaling=4.0),
    "gpt-oss": GptOssConfig(**LIKE_LLAMA, head_dim=8, num_local_experts=2, num_experts_per_tok=1),
    "bloom": BloomConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, n_layer=2, n_head=4, eos_token_id=END
    ),
    "mamba": MambaConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, eos_token_id=END
    ),
}
Free = Callable[[int], None]


@pytest.fixture
def again(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by each layer that is to be computed again."""
    layers: list[object] = []

    def noted(layer: Callable[..., object], *inputs: object, **options: object) -> object:
        layers.append(layer)
        return checkpoint(layer, *inputs, **options)

    monkeypatch.setattr(engine, "checkpoint", noted)
    return layers


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """Sets how many bytes are free."""
    return lambda count: monkeypatch.setattr(module, "available_bytes", lambda device: count)


def other_kind(name: str) -> LanguageModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(OTHERS[name], dtype=torch.float32)
    return LanguageModel(model, tokenizer())


def policy(
    model: LanguageModel,
    adapter: AdapterSpec,
    when: Checkpointing,
    dtype: str = "float32",
) -> LanguagePolicy:
    """Away from its reference, so that every part of an adapter has a gradient."""
    trained = LanguagePolicy(model, model, adapter, "float32", seed=1, checkpointing=when)
    trained.dtype = dtype  # whatever this processor is fast in
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in trained.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return trained


def batch() -> Trajectories:
    first, second, *answers = texts(3, [9, 5, 7, 4, 6])
    actions = [PromptCompletion(tuple(first), tuple(answer)) for answer in answers]
    actions.append(PromptCompletion(tuple(second), tuple(answers[0])))
    mask_BT = length_mask([len(action.tokens) for action in actions])
    nothing = torch.zeros(mask_BT.shape)
    return Trajectories(
        mask_BT, nothing, torch.tensor([0, 0, 0, 1]), nothing, nothing, tuple(actions)
    )


def learned(
    trained: LanguagePolicy, *, entropies: bool = False
) -> tuple[Tensor, dict[str, Tensor], int]:
    """Log-probabilities, gradients, and the bytes that the pass kept for them."""
    with (kept := KeptBytes(trained.trained.model.parameters())):
        if entropies:
            log_probs_BT, entropy_BT = trained.log_probs_and_entropies(batch())
        else:
            log_probs_BT = entropy_BT = trained.log_probs(batch())
    weight_BT = torch.arange(log_probs_BT.numel()).view_as(log_probs_BT)
    (log_probs_BT * weight_BT + entropy_BT).sum().backward()
    gradients = {n: p.grad for n, p in trained.parameters.items() if p.grad is not None}
    return log_probs_BT.detach(), gradients, kept.total


def assert_same(found: tuple[Tensor, dict[str, Tensor], int], plain: LanguagePolicy) -> None:
    expected, gradients, _ = learned(plain)
    torch.testing.assert_close(found[0], expected, atol=1e-6, rtol=1e-6)
    assert found[1].keys() == gradients.keys() and gradients
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_the_plain_pass(
    family: str, adapter: AdapterSpec, dtype: str
) -> None:
    model = tiny(family)
    assert not model.unpacked
    if dtype == "bfloat16" and adapter.kind == "lora":
        model = LanguageModel(model.model.bfloat16(), model.tokenizer)
    plain = policy(model, adapter, "never", dtype)
    found = learned(policy(model, adapter, "always", dtype))
    assert_same(found, plain)
    assert found[2] < 0.35 * learned(plain)[2]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "full"])
@pytest.mark.parametrize("name", OTHERS)
def test_gradients_of_models_of_other_kinds(name: str, adapter: AdapterSpec) -> None:
    model = other_kind(name)
    assert_same(learned(policy(model, adapter, "always")), policy(model, adapter, "never"))


def test_entropies_are_computed_again_too() -> None:
    found, expected = (
        learned(policy(tiny(), ADAPTERS[0], when), entropies=True) for when in ("always", "never")
    )
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_auto_keeps_what_fits(family: str, free: Free, again: list[object]) -> None:
    model, adapter = tiny(family), ADAPTERS[0]
    whole = learned(policy(model, adapter, "never"))[2]
    assert not again
    for room, layers in ((1 << 40, 0), (2 * whole, 0), (whole // 2, 1), (0, 2)):
        free(room)
        assert_same(learned(policy(model, adapter, "auto")), policy(model, adapter, "never"))
        assert len(again) == layers
        again.clear()


def test_auto_leaves_room_for_gradients(free: Free, again: list[object]) -> None:
    full = policy(tiny(), ADAPTERS[1], "auto")
    free(sum(parameter.nbytes for parameter in full.parameters.values()))
    learned(full)
    assert len(again) == 2
    learned(full)  # the gradients are there now, and a layer fits
    assert len(again) == 3


def test_a_model_without_a_list_of_layers(monkeypatch: pytest.MonkeyPatch, free: Free) -> None:
    model = tiny("gpt2")
    expected = learned(policy(model, ADAPTERS[0], "never"))
    monkeypatch.setattr(module, "layers_of", lambda model: None)
    free(0)
    assert learned(policy(model, ADAPTERS[0], "auto"))[2] == expected[2]
    with pytest.raises(InputError, match=r"^compute.checkpointing: GPT2LMHeadModel has no list"):
        learned(policy(model, ADAPTERS[0], "always"))


def test_layers_are_as_they_were_after_a_pass_and_after_a_mistake(free: Free) -> None:
    free(0)
    trained = policy(tiny("gemma2"), ADAPTERS[0], "auto")
    layers = layers_of(trained.trained.model)
    assert isinstance(layers, nn.ModuleList)
    learned(trained)
    assert not any("forward" in vars(layer) for layer in layers)
    with pytest.raises(IndexError):
        trained.log_probs(
            Trajectories(*[torch.ones(1, 1)] * 5, data=(PromptCompletion((1,), (1 << 20, 1)),))
        )
    assert not any("forward" in vars(layer) for layer in layers)


Storages = list[weakref.ref[object]]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Storages:
    """The storages that learning passes keep for their gradients, without holding them."""
    storages: Storages = []
    counted = KeptBytes._counted

    def noted(counting: KeptBytes, tensor: Tensor) -> Tensor:
        storages.append(weakref.ref(tensor.untyped_storage()))
        return counted(counting, tensor)

    monkeypatch.setattr(KeptBytes, "_counted", noted)
    return storages


def alive(kept: Storages, trained: LanguagePolicy) -> set[int]:
    """Those that are there still, by address, the weights' aside."""
    weights = {p.untyped_storage()._cdata for p in trained.trained.model.parameters()}
    return {each._cdata for ref in kept if (each := ref()) is not None} - weights  # type: ignore[attr-defined]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_what_a_pass_kept_goes_with_its_graph(family: str, free: Free, kept: Storages) -> None:
    """At once, not when Python next looks for cycles: passes would pile up in memory until then."""
    free(1 << 40)
    trained = policy(tiny(family), ADAPTERS[0], "auto")
    gc.collect()
    gc.disable()
    try:
        trained.log_probs(batch()).sum().backward()
        assert kept and not alive(kept, trained)
    finally:
        gc.enable()


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_pass_that_is_given_up_leaves_nothing_behind(
    family: str, free: Free, kept: Storages
) -> None:
    """Losses over several pieces look at each once without learning from it: no backward pass frees it."""
    free(1 << 40)
    trained = policy(tiny(family), ADAPTERS[0], "auto")
    trained.log_probs(batch()).detach()
    assert kept and not alive(kept, trained)
    kept.clear()
    log_probs_now(trained, batch())
    assert not kept
