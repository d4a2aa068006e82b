"""Attention of a packed tree in pieces: the numbers of dense attention, and no matrix over the bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pretend_card import CARD, watched
from tiny import texts
from truing.models.engine import levels
from truing.models.engine.attention import MASKED, ScoreRule
from truing.models.engine.tree import PromptWithContinuations, TokenTree

H, K, D = 4, 2, 8
RULES = {
    "plain": ScoreRule(D**-0.5),
    "window": ScoreRule(D**-0.5, window=6),
    "softcap": ScoreRule(0.5, softcap=2.0),
    "sinks": ScoreRule(D**-0.5, sinks_H=torch.linspace(-2.0, 3.0, H, dtype=torch.float64)),
}


class _Largest(TorchDispatchMode):
    """Numbers of the largest tensor that any operator makes meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for part in made if isinstance(made, tuple | list) else (made,):
            if isinstance(part, Tensor):  # what is expanded takes no room
                self.numbers = max(self.numbers, part.untyped_storage().nbytes() // part.itemsize)
        return made


def _requests(shared: int) -> list[PromptWithContinuations]:
    system, *ends = texts(1, [shared, 5, 9, 2])
    a, b, c, d = texts(2, [4, 7, 3, 30])
    answers = [[a + b, a + c, a], [d, c], [b, b + d, [5]]]
    return [
        PromptWithContinuations(system + end, each) for end, each in zip(ends, answers, strict=True)
    ]


def _paths(tree: TokenTree) -> list[list[int]]:
    """Packed places of the tokens of every text."""
    own, prefix, last = tree.prompt_places(), list(range(tree.prefix_length)), tree.last_B.tolist()
    found, number = [], 0
    for request, places in zip(tree.requests, own, strict=True):
        for _ in request.continuations:
            sources = tree.source_C[tree.owner_C == number].tolist()
            found.append([*prefix, *places, *sources[1:], last[number]])
            number += 1
    return found


def _dense(q: Tensor, k: Tensor, v: Tensor, rule: ScoreRule) -> Tensor:
    """One text (T, H, D) with the whole matrix of scores."""
    T = len(q)
    place = torch.arange(T)
    seen = place <= place[:, None]
    if rule.window is not None:
        seen &= place > place[:, None] - rule.window
    k, v = (x.repeat_interleave(H // K, dim=1) for x in (k, v))
    scores = torch.einsum("thd,shd->hts", q, k) * rule.scale
    if rule.softcap is not None:
        scores = rule.softcap * torch.tanh(scores / rule.softcap)
    scores = scores.masked_fill(~seen, float("-inf"))
    if rule.sinks_H is not None:
        sinks = rule.sinks_H.to(scores.dtype)[:, None, None].expand(H, T, 1)
        scores = torch.cat((scores, sinks), dim=-1)
    weights = scores.softmax(-1)[..., :T]
    return torch.einsum("hts,shd->thd", weights, v)


def _random(tokens: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(tokens, n, D, dtype=dtype) for n in (H, K, K)]


@pytest.mark.parametrize(
    ("device", "most"),
    [("cpu", 100), ("cpu", 3000), ("cpu", MASKED), (CARD, 3000), (CARD, MASKED)],
)
@pytest.mark.parametrize("shared", [3, 80], ids=["short prefix", "long prefix"])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_pieces_give_dense_attention_and_its_gradients(
    rule: ScoreRule,
    shared: int,
    most: int,
    device: str | torch.device,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels, "MASKED", most)
    device = torch.device(device)
    sinks_H = rule.sinks_H
    if sinks_H is not None:
        rule = replace(rule, sinks_H=sinks_H.to(device))
    tree = TokenTree(_requests(shared), keep_last=True, merge=True, device=device)
    states = [x.to(device).requires_grad_() for x in _random(len(tree.tokens_N))]
    with watched() as seen:
        output = tree.attend(0, *states, rule)
        with torch.no_grad():
            frozen = tree.attend(0, *(x.float() for x in states), rule).double()
    assert not seen.faults
    exact = 1e-11 if rule.plain else 1e-6  # softcaps and sinks are computed in float32
    slope = torch.randn(output.shape, dtype=torch.float64)
    output.backward(slope.to(device))
    here = [x.detach().cpu().requires_grad_() for x in states]
    total = torch.zeros(())
    reached: set[int] = set()
    paths = _paths(TokenTree(_requests(shared), keep_last=True, merge=True))
    for path in paths:
        expected = _dense(*(x[path] for x in here), replace(rule, sinks_H=sinks_H))
        fresh = [n for n, place in enumerate(path) if place not in reached]
        reached |= set(path)
        for found, apart in ((output, exact), (frozen, 1e-5)):
            torch.testing.assert_close(found.detach().cpu()[path], expected, rtol=0, atol=apart)
        total = total + (expected[fresh] * slope[[path[n] for n in fresh]]).sum()
    assert len(reached) == len(tree.tokens_N)
    total.backward()
    for ours, theirs in zip(states, here, strict=True):
        assert ours.grad is not None and theirs.grad is not None
        torch.testing.assert_close(ours.grad.cpu(), theirs.grad, rtol=0, atol=10 * exact)


@pytest.mark.parametrize("most", [1500, 4000])
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_rows_of_unlike_depth_share_a_piece(
    rule: ScoreRule, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [
        PromptWithContinuations(p, texts(n, [9])) for n, p in enumerate(texts(6, [3, 25, 9]))
    ]
    tree = TokenTree(requests, keep_last=True)
    states = _random(len(tree.tokens_N))
    expected = tree.attend(0, *states, rule)
    monkeypatch.setattr(levels, "MASKED", most)
    found = TokenTree(requests, keep_last=True).attend(0, *states, rule)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", [RULES["plain"], RULES["window"]], ids=["plain", "window"])
def test_a_long_text_is_learned_from_without_the_square_of_its_length(rule: ScoreRule) -> None:
    prompt, answer = texts(3, [500, 7501])
    tree = TokenTree([PromptWithContinuations(prompt, [answer])])
    states = [x.requires_grad_() for x in _random(8000, torch.float32)]
    with _Largest() as largest:
        output = tree.attend(0, *states, rule)
        output.square().sum().backward()
    assert largest.numbers <= MASKED < 8000**2
    if rule.window is None:
        here = [x.detach().clone().requires_grad_() for x in states]
        q, k, v = (x.transpose(0, 1)[None] for x in here)
        k, v = (x.repeat_interleave(H // K, dim=1) for x in (k, v))
        expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        expected.square().sum().backward()
        torch.testing.assert_close(output, expected[0].transpose(0, 1), rtol=1e-4, atol=1e-5)
        for ours, theirs in zip(states, here, strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("learns", [False, True])
def test_a_shared_prefix_is_neither_masked_nor_copied_on_a_card(learns: bool) -> None:
    (prompt,) = texts(4, [300])
    requests = [PromptWithContinuations([*prompt, n], texts(n, [20])) for n in range(1, 40)]
    tree = TokenTree(requests, keep_last=True, device=CARD)
    states = [x.to(CARD).requires_grad_(learns) for x in _random(len(tree.tokens_N))]
    with _Largest() as largest:
        tree.attend(0, *states, RULES["plain"])
    scores = H * 39 * 20 * (300 + 21)
    assert largest.numbers <= scores
