"""Every family of the docs' table against plain transformers: scores, samples, answers, gradients."""

from __future__ import annotations

import pytest
import torch

from families import FAMILIES, loaded, plain
from tiny import alone, texts
from truing.models.decoding import BatchedGenerator, Request
from truing.models.engine.tree import PromptWithContinuations, TokenTree
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


def oracle_at(oracle, prompt, continuation, temperature):
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
