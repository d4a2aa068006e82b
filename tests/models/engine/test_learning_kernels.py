"""Kernels of a learning pass against PyTorch's operators in float64, and where they are taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from truing.models.engine import learning_kernels, operators
from truing.models.engine.operators import rms_norm, swiglu

SHAPES = [(1, 1), (3, 7), (40, 48)]


def _drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def no_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what is tried are the kernels."""
    monkeypatch.delattr(operators, "F")


def _agrees(
    ours: Callable[..., Tensor], oracle: Callable[..., Tensor], given: list[Tensor], rest: Tensor
) -> None:
    """Values and gradients, of all that is given but `rest`."""
    gradient = _drawn(*given[0].shape, seed=9)
    small = [x.clone().requires_grad_() for x in given]
    large = [x.double().requires_grad_() for x in given]
    found, wanted = ours(*small, rest), oracle(*large, rest.double())
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-6)
    found.backward(gradient)
    wanted.backward(gradient.double())
    for one, other in zip(small, large, strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, atol=2e-5, rtol=1e-5)


@pytest.mark.usefixtures("threads", "no_operators")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_norm_with_a_frozen_gain(shape: tuple[int, int]) -> None:
    gain = _drawn(shape[1], seed=1)

    def oracle(x: Tensor, gain: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain

    ours = lambda x, gain: rms_norm(x, gain, 1e-5, torch.float32)  # noqa: E731
    _agrees(ours, oracle, [_drawn(*shape, seed=2)], gain)


@pytest.mark.usefixtures("threads", "no_operators")
@pytest.mark.parametrize("shape", SHAPES)
def test_swiglu(shape: tuple[int, int]) -> None:
    given = [5 * _drawn(*shape, seed=3), _drawn(*shape, seed=4)]
    silu = torch.nn.SiLU()
    _agrees(lambda gate, up, _: swiglu(gate, up), lambda g, u, _: silu(g) * u, given, given[0])


def test_gates_of_any_size_and_none() -> None:
    gate = torch.tensor([[-1e30, -200.0, -88.0, 0.0, 88.0, 1e30, torch.inf, torch.nan]])
    up = torch.ones_like(gate).requires_grad_()
    found = swiglu(gate.clone().requires_grad_(), up)
    torch.testing.assert_close(found, F.silu(gate), equal_nan=True)
    found.sum().backward()
    torch.testing.assert_close(up.grad, F.silu(gate), equal_nan=True)


def test_what_kernels_are_given() -> None:
    x = torch.zeros(4, 6)
    assert learning_kernels.takes(x, x)
    for other in (x.T, x[None], x.double(), x.bfloat16(), x.to("meta"), x[:, :3]):
        assert not learning_kernels.takes(x, other)
