"""The decoder's operators and packed products against PyTorch's own, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from truing.models.engine.operators import geglu, rms_norm, rotate, rotate_into, signed, swiglu
from truing.models.engine.packed import PackedLinear


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_rms_norm_and_its_gradients() -> None:
    x, weight, up = _draw(5, 7), _draw(7, seed=1), _draw(5, 7, seed=2)
    ours = [x.float().requires_grad_(), weight.float().requires_grad_()]
    whole = [x.clone().requires_grad_(), weight.clone().requires_grad_()]
    found = rms_norm(ours[0], ours[1], 1e-5, torch.float32)
    wanted = F.rms_norm(whole[0], (7,), whole[1], 1e-5)
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-6)
    (found * up.float()).sum().backward()
    (wanted * up).sum().backward()
    for one, other in zip(ours, whole, strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad.double(), other.grad, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        again = rms_norm(x.float(), weight.float(), 1e-5, torch.float32)
    torch.testing.assert_close(again, found.detach(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("with_gradients", [True, False])
def test_rotation_turns_pairs_by_their_angle(with_gradients: bool) -> None:
    x, angle = _draw(4, 3, 6), _draw(4, 3, seed=1)
    cos, sin = (f(torch.cat((angle, angle), -1)).unsqueeze(1) for f in (torch.cos, torch.sin))
    with torch.set_grad_enabled(with_gradients):
        found = rotate(x, cos, sin)
    turned = torch.view_as_complex(torch.stack((x[..., :3], x[..., 3:]), -1).contiguous())
    turned = turned * torch.polar(torch.ones_like(angle), angle).unsqueeze(1)
    torch.testing.assert_close(found, torch.cat((turned.real, turned.imag), -1))


def test_gradients_of_rotation_and_swiglu() -> None:
    x, half = _draw(4, 3, 6).requires_grad_(), _draw(4, 1, 3, seed=1)
    angle = torch.cat((half, half), -1)
    assert torch.autograd.gradcheck(lambda t: rotate(t, angle.cos(), angle.sin()), (x,))
    gate, up = _draw(3, 5).requires_grad_(), _draw(3, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(swiglu, (gate, up))
    assert torch.autograd.gradcheck(geglu, (gate, up))
    torch.testing.assert_close(geglu(gate, up), F.gelu(gate, approximate="tanh") * up)


@pytest.mark.parametrize("in_place", [True, False])
def test_rotation_into_memory_that_is_there(in_place: bool) -> None:
    x, half = _draw(4, 3, 6), _draw(4, 1, 3, seed=1)
    angle = torch.cat((half, half), -1)
    wanted = rotate(x, angle.cos(), angle.sin())
    room = torch.full((4, 5, 6), 7.0, dtype=torch.float64)
    room[:, :3] = x
    straight = room[:, :3] if in_place else x
    rotate_into(room[:, :3], straight, angle.cos(), signed(angle.sin()))
    torch.testing.assert_close(room[:, :3], wanted)
    assert (room[:, 3:] == 7).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rows", [1, 40])
def test_packed_layers_are_one_product(dtype: torch.dtype, biased: bool, rows: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Linear(16, outputs, bias=biased) for outputs in (24, 8)]
    x = _draw(rows, 16).to(dtype)
    wanted = torch.cat([layer.to(dtype)(x) for layer in layers], -1)
    found = PackedLinear(layers, dtype)(x)
    assert found.dtype == dtype
    close = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(found, wanted, atol=close, rtol=close)
