"""Gradients of the vocabulary matrix against autograd's own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from truing.models.engine.embedding import embedded
from truing.models.engine.projection import token_log_probs

TOKENS = torch.tensor([3, 0, 3, 7])
TARGETS = torch.tensor([1, 3, 3, 0])


def _weight() -> Tensor:
    return torch.randn(9, 5, generator=torch.Generator().manual_seed(0))


def _tied(weight: Tensor) -> Tensor:
    """A model that is nothing but a tied matrix: in as embedding, out as projection."""
    return token_log_probs(embedded(weight, TOKENS).tanh(), weight, TARGETS).sum()


def _oracle(weight: Tensor) -> Tensor:
    hidden = F.embedding(TOKENS, weight).tanh()
    return (hidden @ weight.T).log_softmax(-1)[torch.arange(len(TARGETS)), TARGETS].sum()


def test_both_uses_and_all_passes_are_one_sum_in_one_place() -> None:
    ours, oracle = _weight().requires_grad_(), _weight().requires_grad_()
    _tied(ours).backward()
    assert ours.grad is not None
    place = ours.grad.data_ptr()
    (2 * _tied(ours)).backward()
    (3 * _oracle(oracle)).backward()
    assert ours.grad.data_ptr() == place
    torch.testing.assert_close(ours.grad, oracle.grad, atol=1e-6, rtol=1e-5)


def test_a_matrix_computed_from_another_hands_its_gradient_on() -> None:
    ours, oracle = _weight().requires_grad_(), _weight().requires_grad_()
    _tied(2 * ours).backward()
    _oracle(2 * oracle).backward()
    torch.testing.assert_close(ours.grad, oracle.grad, atol=1e-6, rtol=1e-5)


def test_a_frozen_matrix_gets_none() -> None:
    weight = _weight()
    rows = embedded(weight, TOKENS)
    assert not rows.requires_grad and torch.equal(rows, F.embedding(TOKENS, weight))
