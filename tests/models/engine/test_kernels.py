"""Kernels of a decode step against PyTorch's operators, in both precisions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba.core.dispatcher import Dispatcher
from torch import Tensor
from torch.nn import functional as F

from truing.models.engine import (
    attention_kernels,
    drawing_kernel,
    float_products,
    integer_products,
    kernels,
    learning_kernels,
    openmp,
    panels,
)
from truing.models.engine.kernels import array_of

DTYPES = [torch.float32, torch.bfloat16]


def _random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def _close(found: Tensor, expected: Tensor) -> None:
    """To the last bit but one of the precision."""
    unit = 2**-7 if found.dtype == torch.bfloat16 else 2**-21
    torch.testing.assert_close(found.float(), expected.float(), rtol=unit, atol=unit / 8)


def test_exp_is_that_of_numpy_to_the_last_digits() -> None:
    x = np.concatenate([np.linspace(-86.9, 0, 5001), [-1e-30, -87.5, -1e30, -np.inf]])
    found = np.array([kernels.exp(np.float32(each)) for each in x])
    expected = np.exp(x.astype(np.float32).astype(np.float64))
    assert np.all(found[-3:] == 0)
    assert np.max(np.abs(found[:-3] / expected[:-3] - 1)) < 1.2e-7
    assert np.isnan(kernels.exp(np.float32(np.nan)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_norm_of_a_sum_is_the_norm_and_leaves_the_sum(dtype: torch.dtype) -> None:
    x, beside, gain = _random(5, 40, dtype=dtype), _random(5, 40, dtype=dtype) * 3, _random(40)
    total, found = x + beside, torch.empty_like(x)
    eps = np.float32(1e-5)
    kernels.norm_of_sum(array_of(x), array_of(beside), array_of(gain), eps, array_of(found))
    assert torch.equal(x, total)
    _close(found, F.rms_norm(total.float(), (40,), gain, 1e-5).to(dtype))


def test_bfloat16_is_rounded_as_pytorch_rounds_it() -> None:
    """Numbers halfway between two of it included: they are sums of one and a half of its last bit."""
    x = torch.cat((_random(4000), torch.arange(1, 400) / 256 + 1.0)).bfloat16()[:, None]
    halves = (torch.full_like(x, 2**-8) * x.abs().log2().floor().exp2()).bfloat16()
    total = x + halves
    kernels.norm_of_sum(*map(array_of, (x, halves, torch.ones(1))), np.float32(1), array_of(halves))
    assert torch.equal(x, total)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_swiglu_is_that_of_two_operators_on_any_number_of_threads(threads: int) -> None:
    gate_up = _random(7, 60) * 20
    found = torch.full((7, 30), torch.nan)
    fork, which, _ = openmp.team(1)
    kernels.swiglu(fork, which, threads if fork else 1, array_of(gate_up), array_of(found))
    gate, up = gate_up.chunk(2, dim=1)
    torch.testing.assert_close(found, F.silu(gate) * up, rtol=1e-6, atol=1e-12)


def test_what_kernels_call_is_made_part_of_them() -> None:
    """Else a function is its own where it was compiled just now, and its caller's copy where that was read
    from the disk; copies are optimised differently, and a run's first start gave other last digits."""
    of_files = (
        *(kernels, attention_kernels, drawing_kernel, learning_kernels),
        *(panels, float_products, integer_products),
    )
    every = [each for file in of_files for each in vars(file).values()]
    compiled = [each for each in every if isinstance(each, Dispatcher)]
    assert len(compiled) > 20
    assert all(each.targetoptions["forceinline"] for each in compiled)
