"""Gradients of the vocabulary matrix: one sum for all its uses, in `.grad` itself.

The matrix is the largest parameter of a small model, and where it is tied it is used twice in a pass, as
embedding and as output layer. Autograd makes a new matrix of that size for each use in each pass and adds
them up; most of the time goes into memory that is new to the process.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gradient_sum(weight: Tensor) -> tuple[Tensor, Tensor | None]:
    """Where a backward pass adds its gradient of a weight, and what it then returns to autograd.

    For a parameter that is `.grad` and None, so that `torch.autograd.grad` and hooks on gradients don't
    see it; for a weight that was computed from others, a matrix of zeros and the same.
    """
    if not weight.is_leaf:
        own = torch.zeros_like(weight)
        return own, own
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad, None


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight_VE: Tensor, tokens_N: Tensor) -> Tensor:
        ctx.save_for_backward(weight_VE, tokens_N)
        return weight_VE.index_select(0, tokens_N)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        weight_VE, tokens_N = ctx.saved_tensors
        total, own = gradient_sum(weight_VE)
        total.index_add_(0, tokens_N, gradients[0].to(total.dtype))
        return own, None


def embedded(weight_VE: Tensor, tokens_N: Tensor) -> Tensor:
    """The rows (N, E) of a vocabulary matrix. Differentiable; see `gradient_sum`."""
    return _Embedding.apply(weight_VE, tokens_N)  # type: ignore[no-any-return,no-untyped-call]
