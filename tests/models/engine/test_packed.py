"""Packed products with what comes behind them, and passes of some tokens at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tiny import FAMILIES, alone, plain, texts, tiny
from truing.models.engine import decoder
from truing.models.engine.operators import GATES
from truing.models.engine.packed import PackedLinear
from truing.models.engine.tree import PromptWithContinuations, TokenTree


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("by", ["panels", "oneDNN", "plain"])
@pytest.mark.parametrize("gate", GATES)
@torch.inference_mode()
def test_products_and_gates_are_those_of_plain_products(
    gate: str, by: str, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(24, 40, bias), nn.Linear(24, 40, bias)
    x = 3 * torch.randn(9, 24)
    if by != "panels":
        monkeypatch.setattr("truing.models.engine.packed.takes_panels", lambda *of: False)
    if by == "plain":
        monkeypatch.setattr("truing.models.engine.packed._can_pack", lambda weight: False)
    first, second = PackedLinear([one], torch.float32), PackedLinear([other], torch.float32)
    wanted = GATES[gate](one(x).clone(), other(x))
    torch.testing.assert_close(first.gated(x, second, GATES[gate]), wanted, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(first(x), one(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_some_tokens_at_a_time_or_some_alone_change_nothing(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "CHUNK", 3)
    model, oracle = tiny(family), plain(family)
    start, *answers = texts(3, [8, 5, 2])
    request = PromptWithContinuations(start, answers)
    tree = TokenTree([request])
    only_M = torch.tensor([4, 9, 2])
    with torch.inference_mode():
        every = model.hidden(tree.tokens_N, tree.positions_N, tree)
        some = model.hidden(tree.tokens_N, tree.positions_N, tree, only_M)
        torch.testing.assert_close(some, every[only_M], atol=1e-5, rtol=1e-5)
        [row] = model.score([request])
        for scored, answer in zip(row, answers, strict=True):
            wanted = alone(oracle, start, answer)
            torch.testing.assert_close(scored.token_log_probs, wanted, atol=1e-4, rtol=0)
    assert model.score([PromptWithContinuations(start, [[]])])[0][0].token_log_probs.shape == (0,)
