"""Every family of the docs' table against plain transformers: scores, samples, answers, gradients."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedModel

from families import FAMILIES, loaded, page, plain
from paths import ROOT
from tiny import alone, texts, tokenizer
from truing.models import language_model
from truing.models.decoding import BatchedGenerator, Request
from truing.models.engine import long_rows, packing
from truing.models.engine.tree import PromptWithContinuations, Tokens, TokenTree
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling, sample


def requests() -> list[PromptWithContinuations]:
    start, one, two, *answers = texts(3, [6, 3, 5, 1, 4, 7, 2])
    return [
        PromptWithContinuations(start + one, answers[:3]),
        PromptWithContinuations(start + two, answers[2:]),
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_numbers_are_those_of_transformers(name: str) -> None:
    model, oracle = loaded(name), plain(name)
    expected = torch.cat([alone(oracle, r.prompt, c) for r in requests() for c in r.continuations])
    scored = torch.cat([s.token_log_probs for row in model.score(requests()) for s in row])
    torch.testing.assert_close(scored, expected.detach(), atol=2e-5, rtol=1e-5)
    log_probs = model.continuation_log_probs(TokenTree(requests()), 0.8)
    log_probs.sum().backward()
    cold = [oracle_at(oracle, r.prompt, c, 0.8) for r in requests() for c in r.continuations]
    torch.testing.assert_close(log_probs, torch.cat(cold), atol=2e-5, rtol=1e-5)
    torch.cat(cold).sum().backward()
    gradients = dict(oracle.named_parameters())
    for key, parameter in model.model.named_parameters():
        gradient = gradients[key].grad
        assert (parameter.grad is None) == (gradient is None), key
        if gradient is not None:
            close = 1e-5 * max(1.0, float(gradient.abs().max()))
            torch.testing.assert_close(parameter.grad, gradient, atol=close, rtol=1e-4, msg=key)


def oracle_at(
    oracle: PreTrainedModel, prompt: Tokens, continuation: Tokens, temperature: float
) -> torch.Tensor:
    """As `alone`, at a temperature."""
    text = torch.tensor([[*prompt, *continuation]])
    logits = oracle(input_ids=text, use_cache=False).logits[0].float() / temperature
    places = torch.arange(len(prompt) - 1, len(prompt) + len(continuation) - 1)
    return logits.log_softmax(-1)[places, torch.tensor(continuation)]


@pytest.mark.parametrize("name", FAMILIES)
def test_answers_are_drawn_from_the_model_itself(name: str) -> None:
    model, oracle = loaded(name), plain(name)
    prompts = [*(request.prompt for request in requests()), [5]]
    sampled = sample(model, prompts, 2, Sampling(9, 0.8, seed=1)).completions
    for prompt, completions in zip(prompts, sampled, strict=True):
        for completion in completions:
            with torch.no_grad():
                expected = oracle_at(oracle, prompt, completion.tokens, 0.8)
            log_probs = torch.tensor(completion.token_log_probs)
            torch.testing.assert_close(log_probs, expected, atol=2e-4, rtol=0)
    drawn = BatchedGenerator(model).write_all(
        [Request(tuple(p), 9, 0.8, seed=1, sample=n) for p in prompts for n in range(2)]
    )
    assert [tuple(each.tokens) for each in drawn] == [c.tokens for row in sampled for c in row]


@pytest.mark.parametrize("name", ["GPT-OSS", "Cohere 2", "Granite", "StableLM", "DeepSeek V3"])
def test_long_texts_are_run_in_pieces(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (long_rows, language_model, packing):
        monkeypatch.setattr(module, "PACK_TOKENS", 40)
    monkeypatch.setattr(long_rows, "PIECE", 7)
    prompt, other, long, short = texts(5, [60, 3, 55, 4])
    requests = [
        PromptWithContinuations(prompt, [short, long]),
        PromptWithContinuations(other, [long, short]),
        PromptWithContinuations([*prompt[:50], *other], [short]),
    ]
    model, oracle = loaded(name), plain(name)
    for chosen in (requests, requests[::2]):  # the latter with a long beginning in common
        for request, row in zip(chosen, model.score(chosen), strict=True):
            for continuation, scored in zip(request.continuations, row, strict=True):
                with torch.no_grad():
                    expected = alone(oracle, request.prompt, continuation)
                torch.testing.assert_close(scored.token_log_probs, expected, atol=3e-5, rtol=1e-5)


def test_the_docs_say_what_each_family_gets() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert page(text) == text, "run: python tests/support/families.py docs/models.md"


@pytest.mark.parametrize("name", ["Llama 4", "LFM2", "Qwen 3.5", "RecurrentGemma", "Falcon-H1"])
def test_rounding_hides_no_other_memory(name: str) -> None:
    model = LanguageModel(plain(name, torch.bfloat16), tokenizer())
    assert model.unpacked


@pytest.mark.parametrize("name", ["Gemma 3", "StableLM", "Mixtral", "GPT-OSS", "DeepSeek V3"])
def test_rounding_holds_nobody_back(name: str) -> None:
    model = LanguageModel(plain(name, torch.bfloat16), tokenizer())
    assert not model.unpacked


@pytest.mark.parametrize("name", ["position_bias", "indices"])
def test_attention_that_is_told_more_than_a_plan_knows_is_not_followed(name: str) -> None:
    model = plain("Llama")
    for layer in model.model.layers:  # as sparse and relative attention call it
        layer.self_attn.register_forward_pre_hook(
            lambda module, given, named: (given, named | {name: torch.zeros(1)}), with_kwargs=True
        )
    model.config.hidden_act = "gelu"  # so that it runs through transformers, not our own decoder
    assert LanguageModel(model, tokenizer()).unpacked


def test_the_trial_leaves_no_gradient_behind() -> None:
    model = loaded("Gemma 3")
    assert all(p.grad is None and p.requires_grad for p in model.model.parameters())
