"""Products in eight-bit integers: against integers of any size, and in a whole model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tiny import plain, texts, tokenizer
from truing.models.adapter import LoraLinear, add_adapter
from truing.models.engine import int8
from truing.models.engine.int8 import Int8Linear, Int8Weights, rounded, rounded_twice
from truing.models.engine.tree import PromptWithContinuations
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample
from truing.spec.run import AdapterSpec

pytestmark = pytest.mark.skipif(
    not int8.multiplies_int8(), reason="this processor has no instructions for products in int8"
)


def _linear(inputs: int, outputs: int, seed: int = 0, *, bias: bool = False) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias)


def _integers(x: Tensor) -> tuple[Tensor, Tensor]:
    """In 64 bits: 127 x 254 times each number's share of the largest of its row, in two steps."""
    largest = x.double().abs().amax(1, keepdim=True)
    share = x * (127 / largest.float())
    first = share.round()
    return (254 * first + (254 * (share - first)).trunc()).long(), largest


@pytest.mark.parametrize(("inputs", "outputs"), [(576, 960), (1536, 57), (3, 5)])
def test_products_are_those_of_exact_integers(inputs: int, outputs: int) -> None:
    layer = _linear(inputs, outputs)
    x = torch.randn(33, inputs) * torch.logspace(-6, 6, 33)[:, None]
    x[:, 0] *= 1000
    with torch.inference_mode():
        found = Int8Linear([layer], Int8Weights([layer]))(x)
    whole, largest = _integers(x)
    weight = layer.weight.detach()
    most = weight.abs().amax(1)
    products = whole @ (weight * (127 / most)[:, None]).round().long().T
    wanted = products.double() * largest * most.double() / (127 * 127 * 254)
    size = (
        (whole.abs() @ torch.ones(inputs, outputs).long()).double() * largest * most / (127 * 254)
    )
    assert float(((found - wanted).abs() / size).max()) < 1e-6  # what float32 rounds
    exact = x.double() @ weight.double().T
    assert float(((found - exact).abs() / size).max()) < 1 / 127


@pytest.mark.parametrize("signs", ["alike", "in turn", "against"])
def test_the_largest_sums_are_not_cut_off(signs: str) -> None:
    """16 bits hold no two products of 127, and float32 no exact sum of 1,536."""
    layer = _linear(1536, 64)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.weight[:, 1::2] = -1.0 if signs == "in turn" else 1.0
    x = torch.ones(40, 1536) * (-3.0 if signs == "against" else 3.0)
    x[:, 1::2] *= -1 if signs == "in turn" else 1
    with torch.inference_mode():
        found = Int8Linear([layer], Int8Weights([layer]))(x)
    wanted = torch.full((40, 64), 1536 * (-3.0 if signs == "against" else 3.0))
    torch.testing.assert_close(found, wanted, rtol=3e-7, atol=0)


def test_two_integers_leave_a_thirty_thousandth_of_the_largest() -> None:
    x = torch.randn(50, 300)
    x[:, 7] = 100.0
    integers, largest = rounded_twice(x)
    first, second = integers.long().unflatten(0, (2, -1))
    apart = ((first + second / 254) * largest[:, None] / 127 - x).abs() / largest[:, None]
    assert float(apart.max()) < 1.01 / (127 * 254) + 1e-7
    once, _ = rounded(x)
    assert torch.equal(once.long(), first) and int(integers.abs().max()) <= 127


def test_a_row_is_the_same_bits_in_any_company_and_with_any_threads() -> None:
    layers = [_linear(40, 24, 1, bias=True), _linear(40, 8, 2, bias=True)]
    x = torch.randn(70, 40)
    before = torch.get_num_threads()
    with torch.inference_mode():
        product = Int8Linear(layers, Int8Weights(layers))
        together = product(x)
        try:
            for threads in (1, 2):
                torch.set_num_threads(threads)
                for rows in (slice(0, 1), slice(3, 10), slice(5, 69), slice(0, 70)):
                    assert torch.equal(product(x[rows]), together[rows])
        finally:
            torch.set_num_threads(before)
        beside = torch.cat([layer(x) for layer in layers], 1)
    torch.testing.assert_close(together, beside, atol=0.02, rtol=0)


def test_rows_of_nothing_and_of_no_numbers() -> None:
    layer = _linear(16, 4)
    x = torch.randn(4, 16)
    x[1], x[2, 3], x[3, 5] = 0, float("nan"), float("inf")
    with torch.inference_mode():
        found = Int8Linear([layer], Int8Weights([layer]))(x)
    assert found[0].isfinite().all() and bool((found[1] == 0).all())
    assert not found[2:].isfinite().any()


def test_adapters_are_added_in_float32() -> None:
    generator = torch.Generator().manual_seed(3)
    bases = [
        _linear(48, 20, 1, bias=True),
        _linear(48, 12, 2, bias=True),
        _linear(48, 8, 3, bias=True),
    ]
    spec = AdapterSpec(rank=4, alpha=6.0)
    layers: list[nn.Module] = [LoraLinear(base, spec, generator) for base in bases[:2]]
    layers.append(bases[2])  # one has none
    x = torch.randn(9, 48)
    with torch.inference_mode():
        weights = Int8Weights(layers)
        none = Int8Linear(layers, weights)(x)
        for layer in layers[:2]:
            layer.lora_B.normal_()
        some = Int8Linear(layers, weights)(x)
        apart = [layer(x) - base(x) for layer, base in zip(layers, bases, strict=True)]
    torch.testing.assert_close(some - none, torch.cat(apart, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma3", "gemma2"])
def test_log_probs_of_samples_are_those_of_what_is_sampled_from(family: str) -> None:
    network = plain(family)
    model = LanguageModel(network, tokenizer())
    sampler = LanguageModel(network, tokenizer(), int8=True)
    prompts = texts(5, [4, 6])
    sampled = sample(sampler, prompts, 4, Sampling(9, 1.0, seed=4))
    requests = [
        PromptWithContinuations(prompt, [each.tokens for each in completions])
        for prompt, completions in zip(prompts, sampled.completions, strict=True)
    ]
    recorded = torch.tensor(
        [p for row in sampled.completions for each in row for p in each.token_log_probs]
    )
    own, exact = (
        torch.cat([each.token_log_probs for row in scorer.score(requests) for each in row])
        for scorer in (sampler, model)
    )
    # Attention in another order is rounded to another integer now and then.
    torch.testing.assert_close(recorded, own, atol=1e-3, rtol=0)
    assert float((recorded - own).abs().mean()) < 1e-4
    assert 1e-3 < float((recorded - exact).abs().mean()) < 0.03
    assert sample(sampler, prompts, 4, Sampling(9, 1.0, seed=4)) == sampled


def test_recorded_log_probs_are_of_the_scores_that_were_drawn_from() -> None:
    sampler = LanguageModel(plain("llama"), tokenizer(), int8=True)
    seen: list[Tensor] = []

    class Watched(LanguageModel):
        def next_token_scores_of_some(self, hidden_NE: Tensor, rows: int) -> Iterator[Tensor]:
            for scores_NV in super().next_token_scores_of_some(hidden_NE, rows):
                seen.append(scores_NV.double().log_softmax(-1))
                yield scores_NV

        end_tokens = frozenset[int]()  # type: ignore[assignment]

    sampler.__class__ = Watched
    [completions] = sample(sampler, texts(5, [4]), 6, Sampling(9, 1.0, seed=4)).completions
    tokens = torch.tensor([each.tokens for each in completions])
    wanted = torch.stack(seen, 1).gather(2, tokens[:, :, None])[:, :, 0]
    recorded = torch.tensor([each.token_log_probs for each in completions]).double()
    torch.testing.assert_close(recorded, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_after_an_update_the_integers_are_those_of_the_new_weights(kind: str) -> None:
    network = plain("llama")
    if kind == "lora":
        add_adapter(network.requires_grad_(False), AdapterSpec(rank=2), seed=0)
    sampler = LanguageModel(network, tokenizer(), int8=True)
    prompts, drawn = texts(5, [4, 6]), []
    copies = sampler.decoder._copies  # type: ignore[union-attr]
    kept: list[list[Int8Weights]] = []
    for _ in range(2):
        drawn.append(sample(sampler, prompts, 4, Sampling(9, 1.0, seed=4)))
        fresh = LanguageModel(network, tokenizer(), int8=True)
        assert sample(fresh, prompts, 4, Sampling(9, 1.0, seed=4)) == drawn[-1]
        kept.append([weights for *_, weights in copies._kept.values()])  # type: ignore[attr-defined]
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1)
        sampler.forget_copies(learning_only=True)
    assert drawn[0] != drawn[1]
    same = [a is b for a, b in zip(*kept, strict=True)]
    assert all(same) if kind == "lora" else not any(same)
    assert bool(copies._kept) == (kind == "lora")  # type: ignore[attr-defined]
