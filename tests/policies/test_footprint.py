"""The arithmetic of memory against what real passes keep, and the figures of a 7B."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig

from tiny import FAMILIES, config, tiny, tokenizer
from truing.models.adapter import add_adapter
from truing.models.engine.copies import Int8Copies
from truing.models.engine.int8 import multiplies_int8
from truing.models.engine.traced import PeakBytes, peak_bytes
from truing.models.engine.tree import PromptWithContinuations, TokenTree
from truing.models.footprint import Footprint, Texts
from truing.models.language_model import LanguageModel
from truing.policies.checkpointing import within_memory
from truing.policies.footprint import learning
from truing.spec.compute import Checkpointing
from truing.spec.run import AdapterSpec

LORA, FULL = AdapterSpec(kind="lora", rank=4), AdapterSpec(kind="full")
TEXTS = Texts(prompts=2, answers=2, tokens=9, prompt_tokens=12)
GB = 10**9


def deep(family: str, layers: int = 6) -> PreTrainedConfig:
    """A configuration of more layers than are run."""
    deeper = config(family)
    deeper.num_hidden_layers = layers
    if getattr(deeper, "layer_types", None):
        deeper.layer_types = [*deeper.layer_types] * (layers // 2)
    return deeper


def measured(
    family: str, adapter: AdapterSpec, when: Checkpointing, half: bool, trees: Sequence[TokenTree]
) -> int:
    """The most bytes that a real step of these passes takes beside its weights, with real numbers."""
    dtype = torch.bfloat16 if half and adapter.kind == "lora" else torch.float32
    model = AutoModelForCausalLM.from_config(deep(family), dtype=dtype)
    model.requires_grad_(adapter.kind == "full")
    language = LanguageModel(model, tokenizer())
    with PeakBytes() as counted:
        if adapter.kind == "lora":
            add_adapter(model, adapter, seed=0)
        for tree in trees:
            with (
                torch.autocast("cpu", torch.bfloat16) if half else nullcontext(),
                within_memory(language, when, ()),
            ):
                log_probs_C = language.continuation_log_probs(tree)
            log_probs_C.sum().backward()
            del log_probs_C
    return max(counted.peaks)


@pytest.mark.parametrize(
    ("family", "adapter", "half", "when"),
    [
        ("llama", LORA, False, "never"),
        ("llama", LORA, True, "always"),
        ("qwen3", FULL, True, "never"),
        ("gemma3", LORA, False, "always"),
        ("gemma2", FULL, False, "always"),
        ("gpt2", LORA, True, "never"),
    ],
)
def test_a_step_takes_what_the_arithmetic_says(
    family: str, adapter: AdapterSpec, half: bool, when: Checkpointing
) -> None:
    found = Footprint.of(deep(family), torch.bfloat16 if half else torch.float32)
    need = learning(found, TEXTS, adapter, checkpointing=when == "always")
    within = need.parts["activations and gradients"]
    if adapter.kind == "lora":
        within += need.parts["weights in training"]
    trees = [TokenTree(TEXTS.requests())]
    assert within == pytest.approx(measured(family, adapter, when, half, trees), rel=0.1)


@pytest.mark.parametrize("when", ["never", "always"])
def test_later_passes_of_a_step_have_the_gradients_of_earlier_ones_beside_them(
    when: Checkpointing,
) -> None:
    texts = Texts(prompts=2, answers=2, tokens=200, prompt_tokens=100)  # a pass each
    found = Footprint.of(deep("llama"), torch.float32)
    trees = [TokenTree([request]) for request in texts.requests()]
    steps = [replace(texts, prompts=count) for count in (1, 2)]
    real = [measured("llama", FULL, when, False, trees[: step.prompts]) for step in steps]
    needs = [learning(found, step, FULL, checkpointing=when == "always") for step in steps]
    counted = [need.parts["activations and gradients"] for need in needs]
    assert counted == pytest.approx(real, rel=0.1)
    more = real[1] - real[0]
    assert more > found.weights() / 2
    assert counted[1] - counted[0] == pytest.approx(more, rel=0.1)


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
def test_a_pass_without_gradients_takes_what_the_arithmetic_says(family: str) -> None:
    texts = Texts(prompts=3, answers=1, tokens=1, prompt_tokens=150)  # masks are much of it
    language = LanguageModel(
        AutoModelForCausalLM.from_config(deep(family, 24)).requires_grad_(False), tokenizer()
    )
    prompts = [PromptWithContinuations(request.prompt, ()) for request in texts.requests()]
    tree = TokenTree(prompts)
    with PeakBytes() as counted:
        language.hidden(tree.tokens_N, tree.positions_N, tree)
    need = Footprint.of(deep(family, 24), torch.float32).rollout(texts)
    assert need.parts["activations"] == pytest.approx(max(counted.peaks), rel=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_adapters_and_copies_are_counted_from_the_configuration(family: str) -> None:
    model = tiny(family)
    numbers = sum(parameter.numel() for parameter in model.model.parameters())
    found = Footprint.of(config(family), torch.bfloat16)
    assert found.weights() == 2 * numbers and found.weights(torch.float32) == 4 * numbers
    trained = learning(found, TEXTS, LORA, checkpointing=True).parts
    add_adapter(model.model, LORA, seed=0)
    adapters = sum(p.nbytes for n, p in model.model.named_parameters() if "lora_" in n)
    assert trained["weights in training"] == adapters and trained["optimizer"] == 2 * adapters
    assert (found.copies() > 0) is (model.decoder is not None)
    assert Footprint.of(config(family), torch.bfloat16, "cuda").copies() == 0


@pytest.mark.skipif(not multiplies_int8(), reason="this processor has no products in int8")
def test_copies_in_eight_bits_are_counted_as_they_are() -> None:
    wide = config("qwen2", vocabulary=192)
    wide.hidden_size, wide.intermediate_size = 128, 320  # whole blocks of oneDNN's
    model = AutoModelForCausalLM.from_config(wide)
    copies = Int8Copies()
    products = [p for layer in copies.of_layers(model.base_model) for p in vars(layer).values()]
    head = copies.of_head(model.get_output_embeddings())
    held = 0
    for product in (*products, head):
        parts = [*vars(product._weights._product).values(), product._bias_O]
        for part in (each for each in parts if hasattr(each, "nbytes")):
            opaque = isinstance(part, torch.Tensor) and part.is_mkldnn
            held += torch.ops.mkldnn._nbytes(part) if opaque else part.nbytes
    found = Footprint.of(wide, torch.float32)
    counted = found.int8_copies()
    assert counted == pytest.approx(held, rel=0.08) and counted < found.copies() / 3
    same, int8 = (found.rollout(TEXTS, int8=int8).parts for int8 in (False, True))
    assert int8.pop("copies of the weights") == counted != same.pop("copies of the weights")
    assert int8 == same
    for adapter, kept in ((LORA, counted), (FULL, 0)):  # of weights that stay they stay, too
        learned = [
            learning(found, TEXTS, adapter, checkpointing=True, int8=int8).total
            for int8 in (False, True)
        ]
        assert learned[1] - learned[0] == kept


@pytest.mark.parametrize("prompts", [1, 2])  # as many passes
@pytest.mark.parametrize("adapter", [LORA, FULL])
def test_each_process_holds_its_share_of_the_layers(adapter: AdapterSpec, prompts: int) -> None:
    texts = Texts(prompts=prompts, answers=2, tokens=200, prompt_tokens=100)
    one, all_of_them = (Footprint.of(deep("llama", 24), torch.float32, processes=n) for n in (1, 8))
    layers = [p for n, p in one.model.named_parameters() if p.ndim == 2 and ".layers." in n]
    matrices = 4 * sum(map(torch.Tensor.numel, layers))
    away = 7 * matrices // 8
    assert all_of_them.weights() == one.weights() - away
    assert all_of_them.copies() == one.head_copy()
    alone, shared = (
        learning(found, texts, adapter, checkpointing=True).parts for found in (one, all_of_them)
    )
    assert shared["a layer put together"] == matrices / 24
    full = adapter is FULL
    for part, times in (("weights in training", 1), ("optimizer", 2)):
        assert alone[part] - shared[part] == (times * away if full else 0)
    saved_in_passing = alone["activations and gradients"] - shared["activations and gradients"]
    if not full:
        assert saved_in_passing == 0
    elif (
        prompts > 1
    ):  # all gradients are there, but while a layer's are summed, which takes its room twice
        assert away - 3 * matrices / 24 <= saved_in_passing <= away
    assert saved_in_passing >= -2 * matrices / 24


def test_the_cache_has_keys_and_values_of_every_token() -> None:
    found = Footprint.of(config("llama"), torch.float32)
    rollout = found.rollout(Texts(prompts=3, answers=5, tokens=7, prompt_tokens=4))
    a_token = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, their size, bytes
    assert rollout.parts["key-value cache"] == a_token * (2 * 3 * 4 + 3 * 5 * 7)


def test_peaks_are_those_of_what_lives_at_once() -> None:
    with PeakBytes() as counted:
        for _ in range(3):
            a = torch.zeros(1000)
            b = a[10:] + 1  # 990 more
            del a, b
        counted.lap()
        kept = torch.zeros(10)
        counted.lap()
        (kept.view(2, 5) * 2).sum()
    assert counted.peaks == [4 * 1990, 40, 40 + 40 + 4]


def test_each_further_layer_takes_as_much_again() -> None:
    def work(model: torch.nn.Module, tree: TokenTree, counted: PeakBytes) -> None:
        kept = [torch.zeros(1000) for _ in model.base_model.layers]
        kept.append(torch.zeros(500))

    requests = TEXTS.requests()
    for family in ("llama", "gemma3"):
        assert peak_bytes(deep(family, 12), torch.float32, requests, work) == 4 * (12 * 1000 + 500)
        assert peak_bytes(deep(family, 2), torch.float32, requests, work) == 4 * (2 * 1000 + 500)


# --- What a 7B must do with --------------------------------------------------------------------


@cache
def seven_billion() -> Footprint:
    """Like Llama 2 7B, in bfloat16 on a card."""
    like = LlamaConfig(
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=32,
        max_position_embeddings=16384,
        tie_word_embeddings=False,
    )
    return Footprint.of(like, torch.bfloat16, "cuda")


STEP = Texts(prompts=4, answers=8, tokens=256)


def test_rollout_of_a_7b() -> None:
    need = seven_billion().rollout(STEP)
    assert need.parts["weights"] == pytest.approx(13.48 * GB, rel=0.001)
    assert need.total - need.parts["key-value cache"] <= 22 * GB


@pytest.mark.parametrize("checkpointing", [True, False])
def test_a_lora_step_of_a_7b(checkpointing: bool) -> None:
    need = learning(seven_billion(), STEP, AdapterSpec(), checkpointing=checkpointing)
    assert 14 * GB < need.total <= 40 * GB


def test_a_long_text_of_a_7b() -> None:
    text = Texts(prompts=1, answers=1, tokens=7936)
    need = learning(seven_billion(), text, AdapterSpec(), checkpointing=True)
    assert 14 * GB < need.total < 80 * GB
