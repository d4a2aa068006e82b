"""The likeliest token of each row."""

from __future__ import annotations

import pytest
import torch

from truing.models.drawing import BLOCK, draw_tokens


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
