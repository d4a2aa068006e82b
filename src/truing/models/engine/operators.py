"""The few operators between a decoder's matrix products, each with a gradient of its own.

They do what `transformers` writes as five to ten small operators, and keep for the backward pass only
what can't be computed again: on a processor the small operators cost as much as the products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from truing.models.engine import learning_kernels


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NE: Tensor, weight_E: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        plain = dtype == weight_E.dtype == torch.float32 and not ctx.needs_input_grad[1]
        if plain and learning_kernels.takes(x_NE):
            scale_N1, out_NE = x_NE.new_empty(len(x_NE), 1), torch.empty_like(x_NE)
            ctx.save_for_backward(x_NE, weight_E, scale_N1)
            learning_kernels.run(learning_kernels.norm, x_NE, weight_E, eps, scale_N1[:, 0], out_NE)
            return out_NE
        x = x_NE.float()
        scale_N1 = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x_NE, weight_E, scale_N1)
        return ((x * scale_N1) * weight_E).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        x_NE, weight_E, scale_N1 = ctx.saved_tensors
        gradient = gradients[0].float()
        if not ctx.needs_input_grad[1] and learning_kernels.takes(gradient, x_NE):
            of_x_NE, gain_E = torch.empty_like(x_NE), weight_E.float()
            rest = gain_E, scale_N1[:, 0], of_x_NE
            learning_kernels.run(learning_kernels.norm_gradient, gradient, x_NE, *rest)
            return of_x_NE, None, None, None
        unit = x_NE.float() * scale_N1
        grad_weight = None
        if ctx.needs_input_grad[1]:
            leading = tuple(range(gradient.dim() - 1))
            grad_weight = (gradient * unit).sum(leading).to(weight_E.dtype)
        inner = gradient * weight_E
        along = (inner * unit).mean(-1, keepdim=True)
        grad_x = inner.sub_(unit.mul_(along)).mul_(scale_N1)
        return grad_x.to(x_NE.dtype), grad_weight, None, None


def rms_norm(x_NE: Tensor, weight_E: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis, computed in float32, given as `dtype`.

    Zhang and Sennrich (2019), eq. 4.
    """
    if torch.is_grad_enabled() or not x_NE.dtype == weight_E.dtype == dtype:
        return _RmsNorm.apply(x_NE, weight_E, eps, dtype)  # type: ignore[no-any-return,no-untyped-call]
    return F.rms_norm(x_NE, (x_NE.shape[-1],), weight_E, eps)


def _turn(out: Tensor, x_NHD: Tensor, sin_N1D: Tensor, sign: float) -> Tensor:
    """Adds the half of the rotation that crosses over, in place."""
    half = x_NHD.shape[-1] // 2
    out[..., :half].addcmul_(x_NHD[..., half:], sin_N1D[..., :half], value=-sign)
    out[..., half:].addcmul_(x_NHD[..., :half], sin_N1D[..., half:], value=sign)
    return out


def _rotated(x_NHD: Tensor, cos_N1D: Tensor, sin_N1D: Tensor, sign: float) -> Tensor:
    return _turn(x_NHD * cos_N1D, x_NHD, sin_N1D, sign)


def signed(sin_N1D: Tensor) -> Tensor:
    """Sines as `rotate_into` takes them: with the sign that each half of a head crosses over with."""
    half = sin_N1D.shape[-1] // 2
    return torch.cat((-sin_N1D[..., :half], sin_N1D[..., half:]), dim=-1)


def rotate_into(out: Tensor, x_NHD: Tensor, cos_N1D: Tensor, signed_N1D: Tensor) -> None:
    """Writes what `rotate` gives, without gradients; `out` may be x itself."""
    half = x_NHD.shape[-1] // 2
    crossed = x_NHD.new_empty(x_NHD.shape)
    torch.mul(x_NHD[..., half:], signed_N1D[..., :half], out=crossed[..., :half])
    torch.mul(x_NHD[..., :half], signed_N1D[..., half:], out=crossed[..., half:])
    torch.addcmul(crossed, x_NHD, cos_N1D, out=out)


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NHD: Tensor, cos_N1D: Tensor, sin_N1D: Tensor) -> Tensor:
        ctx.save_for_backward(cos_N1D, sin_N1D)
        return _rotated(x_NHD, cos_N1D, sin_N1D, 1.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        cos_N1D, sin_N1D = ctx.saved_tensors
        return _rotated(gradients[0], cos_N1D, sin_N1D, -1.0), None, None


def rotate(x_NHD: Tensor, cos_N1D: Tensor, sin_N1D: Tensor) -> Tensor:
    """Rotary position embedding of each head (Su et al., 2021, eq. 34, in halves as Llama lays it out)."""
    if torch.is_grad_enabled():
        return _Rotate.apply(x_NHD, cos_N1D, sin_N1D)  # type: ignore[no-any-return,no-untyped-call]
    return _rotated(x_NHD, cos_N1D, sin_N1D, 1.0)


class _SwiGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_NF: Tensor, up_NF: Tensor) -> Tensor:
        ctx.save_for_backward(gate_NF, up_NF)
        if not learning_kernels.takes(gate_NF, up_NF):
            return F.silu(gate_NF).mul_(up_NF)
        out_NF = torch.empty_like(gate_NF)
        learning_kernels.run(learning_kernels.swiglu, gate_NF, up_NF, out_NF)
        return out_NF

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        gate_NF, up_NF = ctx.saved_tensors
        gradient = gradients[0]
        if learning_kernels.takes(gradient, gate_NF, up_NF):
            of_gate_NF, of_up_NF = torch.empty_like(gate_NF), torch.empty_like(up_NF)
            given = gradient, gate_NF, up_NF
            learning_kernels.run(learning_kernels.swiglu_gradients, *given, of_gate_NF, of_up_NF)
            return of_gate_NF, of_up_NF
        grad_gate = torch.ops.aten.silu_backward(gradient * up_NF, gate_NF)
        return grad_gate, F.silu(gate_NF).mul_(gradient)


def swiglu(gate_NF: Tensor, up_NF: Tensor) -> Tensor:
    """silu(gate) * up (Shazeer, 2020, eq. 6, without its matrix products)."""
    if not torch.is_grad_enabled():
        return F.silu(gate_NF).mul_(up_NF)
    return _SwiGlu.apply(gate_NF, up_NF)  # type: ignore[no-any-return,no-untyped-call]


class _GeGlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_NF: Tensor, up_NF: Tensor) -> Tensor:
        ctx.save_for_backward(gate_NF, up_NF)
        return F.gelu(gate_NF, approximate="tanh").mul_(up_NF)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        gate_NF, up_NF = ctx.saved_tensors
        gradient = gradients[0]
        grad_gate = torch.ops.aten.gelu_backward(gradient * up_NF, gate_NF, approximate="tanh")
        return grad_gate, F.gelu(gate_NF, approximate="tanh").mul_(gradient)


def geglu(gate_NF: Tensor, up_NF: Tensor) -> Tensor:
    """gelu(gate) * up with the GELU's approximation by a tanh (Shazeer, 2020, eq. 6)."""
    if not torch.is_grad_enabled():
        return F.gelu(gate_NF, approximate="tanh").mul_(up_NF)
    return _GeGlu.apply(gate_NF, up_NF)  # type: ignore[no-any-return,no-untyped-call]


Gate = Callable[[Tensor, Tensor], Tensor]
GATES: dict[str, Gate] = {"silu": swiglu, "gelu_pytorch_tanh": geglu}
"""By the name of the activation in a configuration."""
