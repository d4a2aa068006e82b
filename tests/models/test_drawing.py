"""The likeliest token of each row."""

from __future__ import annotations

import pytest
import torch

from truing.models.drawing import by_operators, draw_tokens
from truing.models.engine.drawing_kernel import BLOCK


@pytest.mark.parametrize("size", [BLOCK * 3, BLOCK * 3 + 1])
def test_the_lowest_of_several_likeliest_tokens_is_taken(size: int) -> None:
    scores_NV = torch.zeros(4, size)
    scores_NV[0, [size - 1, BLOCK, BLOCK + 1]] = 1.0
    scores_NV[1, [BLOCK - 1, BLOCK]] = 1.0
    scores_NV[2] = float("-inf")
    scores_NV[2, -1] = -1e30
    token_N, log_prob_N, _ = draw_tokens(scores_NV, torch.zeros(4), 0.0)
    assert token_N.tolist() == [BLOCK, BLOCK - 1, size - 1, 0]
    torch.testing.assert_close(log_prob_N, scores_NV.log_softmax(-1).amax(-1))


def test_likeliest_tokens_are_those_of_argmax() -> None:
    scores_NV = torch.randn(40, BLOCK * 9, generator=torch.Generator().manual_seed(0))
    scores_NV = (scores_NV * 4).round()  # many are alike
    token_N, _, _ = draw_tokens(scores_NV, torch.zeros(40), 0.0)
    highest_NV = scores_NV == scores_NV.amax(-1, keepdim=True)
    assert token_N.tolist() == [row.index(True) for row in highest_NV.tolist()]


@pytest.mark.parametrize("size", [BLOCK * 5, BLOCK * 5 + 1])
def test_a_uniform_number_gives_the_token_whose_share_it_lies_in(size: int) -> None:
    """Against sums in float64, at a thousand places and at both ends; nothing without a weight is drawn."""
    generator = torch.Generator().manual_seed(1)
    scores_V = 6 * torch.randn(size, generator=generator)
    scores_V[torch.rand(size, generator=generator) < 0.3] = float("-inf")
    scores_V[-BLOCK:] = float("-inf")
    scores_V[:3] = float("-inf")
    uniform_N = torch.cat((torch.linspace(0, 1, 1001)[:-1], torch.tensor([1 - 2**-24, 2**-24])))
    token_N, log_prob_N, _ = draw_tokens(scores_V.expand(len(uniform_N), -1), uniform_N, 1.0)
    upto_V = scores_V.double().softmax(-1).cumsum(-1)
    wanted_N = torch.searchsorted(upto_V, uniform_N.double(), right=True).clamp(max=size - 1)
    near_N = (
        (upto_V[token_N] - uniform_N)
        .abs()
        .minimum((upto_V[token_N] - scores_V.double().softmax(-1)[token_N] - uniform_N).abs())
    )
    assert bool(((token_N == wanted_N) | (near_N < 1e-6)).all())
    assert int((token_N != wanted_N).sum()) < 5
    torch.testing.assert_close(log_prob_N, scores_V.log_softmax(-1)[token_N])
    assert log_prob_N.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.5])
def test_the_kernel_draws_what_operators_draw(temperature: float) -> None:
    generator = torch.Generator().manual_seed(2)
    scores_NV = 5 * torch.randn(20, BLOCK * 3 + 7, generator=generator)
    scores_NV[torch.rand(scores_NV.shape, generator=generator) < 0.2] = float("-inf")
    uniform_N = torch.rand(20, generator=generator)
    token_N, log_prob_N, entropy_1 = draw_tokens(scores_NV, uniform_N, temperature)
    wanted = by_operators(scores_NV, uniform_N, temperature)
    assert torch.equal(token_N, wanted[0])
    torch.testing.assert_close(log_prob_N, wanted[1])
    torch.testing.assert_close(entropy_1.float(), wanted[2])
