"""Token log-probabilities against a whole log softmax."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from truing.models.engine import projection
from truing.models.engine.projection import (
    LEARNING_CHUNK,
    frozen_token_log_probs,
    token_log_probs,
    token_log_probs_and_entropies,
)


def _expected(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    bias: Tensor | None,
    softcap: float | None,
    temperature: float,
) -> Tensor:
    scores = hidden @ weight.T
    if bias is not None:
        scores = scores + bias
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    return (scores / temperature).log_softmax(-1)[torch.arange(len(target)), target]


@pytest.mark.parametrize("rows", [1, 7, LEARNING_CHUNK, 2 * LEARNING_CHUNK + 3])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("biased", [False, True])
def test_equals_log_softmax_with_gradients(
    rows: int, temperature: float, softcap: float | None, biased: bool
) -> None:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 12, generator=generator)
    weight = torch.randn(31, 12, generator=generator)
    bias = torch.randn(31, generator=generator) if biased else None
    target = torch.randint(31, (rows,), generator=generator)
    upstream = torch.randn(rows, generator=generator)  # a different weight for each row
    results = []
    for call in ("ours", "oracle"):
        inputs = [x.double() if call == "oracle" else x.clone() for x in (hidden, weight)]
        if bias is not None:
            inputs.append(bias.double() if call == "oracle" else bias.clone())
        for tensor in inputs:
            tensor.requires_grad_()
        h, w, *rest = inputs
        b = rest[0] if rest else None
        if call == "ours":
            out = token_log_probs(h, w, target, bias_V=b, softcap=softcap, temperature=temperature)
        else:
            out = _expected(h, w, target, b, softcap, temperature)
        (out * upstream).sum().backward()
        results.append([out.detach(), *(tensor.grad for tensor in inputs)])
    for found, wanted in zip(*results, strict=True):
        assert found is not None and wanted is not None
        torch.testing.assert_close(found.double(), wanted, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("chunks", [0, 1, 9])
def test_gradients_are_the_same_whatever_is_kept(
    chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(8)
    monkeypatch.setattr(projection, "KEPT_BYTES", chunks * LEARNING_CHUNK * 31 * 4)
    rows = 2 * LEARNING_CHUNK + 3
    hidden, weight = (torch.randn(n, 12, generator=generator).requires_grad_() for n in (rows, 31))
    target, upstream = torch.randint(31, (rows,), generator=generator), torch.randn(rows)
    found = (token_log_probs(hidden, weight, target, temperature=0.7) * upstream).sum()
    wanted = (_expected(hidden, weight, target, None, None, 0.7) * upstream).sum()
    expected = torch.autograd.grad(wanted, (hidden, weight))
    for times in (1, 2):  # the second pass finds what the first has used up
        found.backward(retain_graph=True)
        for tensor, gradient in zip((hidden, weight), expected, strict=True):
            assert tensor.grad is not None
            torch.testing.assert_close(tensor.grad, times * gradient, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rows", [5, LEARNING_CHUNK + 3])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_frozen_weight_gets_no_gradient(rows: int, temperature: float) -> None:
    generator = torch.Generator().manual_seed(rows)
    hidden = torch.randn(rows, 4, generator=generator).requires_grad_()
    weight, upstream = torch.randn(9, 4, generator=generator), torch.randn(rows)
    target = torch.randint(9, (rows,), generator=generator)
    found = token_log_probs(hidden, weight, target, temperature=temperature)
    (found * upstream).sum().backward()
    oracle = hidden.detach().clone().requires_grad_()
    expected = _expected(oracle, weight, target, None, None, temperature)
    (expected * upstream).sum().backward()
    assert weight.grad is None
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(hidden.grad, oracle.grad, atol=1e-5, rtol=1e-5)


def test_no_rows() -> None:
    assert token_log_probs(torch.zeros(0, 4), torch.zeros(9, 4), torch.zeros(0).long()).shape == (
        0,
    )


def test_extreme_scores_stay_finite() -> None:
    hidden, weight = torch.tensor([[1e4, 0.0]]), torch.eye(2)
    assert token_log_probs(hidden, weight, torch.tensor([0])).item() == 0.0
    assert token_log_probs(hidden, weight, torch.tensor([1])).item() == -1e4


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_without_gradients_the_same_through_any_head(softcap: float | None) -> None:
    generator = torch.Generator().manual_seed(5)
    hidden, weight = (torch.randn(n, 12, generator=generator) for n in (150, 31))
    row = torch.randint(150, (400,), generator=generator)  # some before several targets, some none
    target = torch.randint(31, (400,), generator=generator)
    kept: list[Tensor] = []

    def head(part: Tensor) -> Tensor:
        kept.append(part @ weight.T)
        return kept[-1]

    found = frozen_token_log_probs(hidden, head, row, target, softcap=softcap, temperature=0.7)
    wanted = _expected(hidden[row], weight, target, None, softcap, 0.7)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(torch.cat(kept), hidden @ weight.T)  # its logits are left as they were
    assert len(frozen_token_log_probs(hidden[:0], head, row[:0], target[:0])) == 0


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_entropies_and_their_gradients(softcap: float | None) -> None:
    generator = torch.Generator().manual_seed(6)
    rows = LEARNING_CHUNK + 5
    start, matrix = (torch.randn(n, 12, generator=generator) for n in (rows, 31))
    target = torch.randint(31, (rows,), generator=generator)
    up = torch.randn(2, rows, generator=generator)
    results = []
    for ours in (True, False):
        hidden, weight = start.clone().requires_grad_(), matrix.clone().requires_grad_()
        if ours:
            log_probs, entropies = token_log_probs_and_entropies(
                hidden, weight, target, softcap=softcap, temperature=0.7
            )
        else:
            scores = hidden @ weight.T
            scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
            whole = torch.distributions.Categorical(logits=scores / 0.7)
            log_probs, entropies = whole.log_prob(target), whole.entropy()
        (up[0] * log_probs + up[1] * entropies).sum().backward()
        results.append([log_probs.detach(), entropies.detach(), hidden.grad, weight.grad])
    for found, wanted in zip(*results, strict=True):
        assert found is not None and wanted is not None
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
