"""What a learning pass does between its matrix products, and its gradients, compiled for the processor.

Each kernel goes once over what several operators would go over in turn. Arrays are float32, in rows. See
kernels.py for how kernels are kept and what a row's numbers depend on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from truing.models.engine.kernels import array_of, compiled, in_order, part, sigmoid, team_of
from truing.models.engine.openmp import on_threads

_F = np.float32


def takes(*tensors: Tensor) -> bool:
    """Whether kernels take these: matrices in float32 on the processor, one row behind the other."""
    return all(
        x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 2 and x.is_contiguous()
        for x in tensors
    )


def run(kernel: Any, *given: Tensor | float) -> None:
    """Runs a kernel of this file on matrices, with as many rows as the first, and what goes with them. On
    tensors without numbers (traced.py) there is nothing to do."""
    first = given[0]
    assert isinstance(first, Tensor)
    if not isinstance(first, FakeTensor):
        kernel(*team_of(len(first)), *(_as_taken(each) for each in given))


def _as_taken(given: Tensor | float) -> Any:
    return array_of(given.detach()) if isinstance(given, Tensor) else _F(given)


@in_order
def _swiglu(number: Any, threads: Any, gate_NF: Any, up_NF: Any, out_NF: Any) -> None:
    N, inner = out_NF.shape
    for n in part(N, number, threads):
        for f in range(inner):
            out_NF[n, f] = gate_NF[n, f] * sigmoid(gate_NF[n, f]) * up_NF[n, f]


@in_order
def swiglu(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes silu(gate) * up."""
    on_threads(fork, which, threads, _swiglu, given)


@in_order
def _swiglu_gradients(
    number: Any,
    threads: Any,
    gradient_NF: Any,
    gate_NF: Any,
    up_NF: Any,
    of_gate_NF: Any,
    of_up_NF: Any,
) -> None:
    N, inner = gradient_NF.shape
    for n in part(N, number, threads):
        for f in range(inner):
            gate, gradient = gate_NF[n, f], gradient_NF[n, f]
            share = sigmoid(gate)
            of_up_NF[n, f] = gradient * (gate * share)
            slope = share * (_F(1) + gate * (_F(1) - share))
            of_gate_NF[n, f] = gradient * up_NF[n, f] * slope


@in_order
def swiglu_gradients(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes the gradients of the gate and of what is let through, from that of `swiglu`."""
    on_threads(fork, which, threads, _swiglu_gradients, given)


@compiled
def _squares(x_E: Any) -> Any:
    """Their sum, in float64."""
    total = 0.0
    for e in range(len(x_E)):
        total += np.float64(x_E[e]) * np.float64(x_E[e])
    return total


@compiled
def _along(gradient_E: Any, gain_E: Any, x_E: Any) -> Any:
    """The sum of x times the gradient behind the gain, in float64."""
    total = 0.0
    for e in range(len(x_E)):
        total += np.float64(gradient_E[e] * gain_E[e]) * np.float64(x_E[e])
    return total


@in_order
def _norm(
    number: Any, threads: Any, x_NE: Any, gain_E: Any, eps: Any, scale_N: Any, out_NE: Any
) -> None:
    N, E = x_NE.shape
    for n in part(N, number, threads):
        scale = _F(1 / np.sqrt(_squares(x_NE[n]) / E + eps))
        scale_N[n] = scale
        for e in range(E):
            out_NE[n, e] = x_NE[n, e] * scale * gain_E[e]


@in_order
def norm(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes what each row is multiplied with, 1 / sqrt(mean(x^2) + eps), and x times it times the gain."""
    on_threads(fork, which, threads, _norm, given)


@in_order
def _norm_gradient(
    number: Any,
    threads: Any,
    gradient_NE: Any,
    x_NE: Any,
    gain_E: Any,
    scale_N: Any,
    of_x_NE: Any,
) -> None:
    N, E = x_NE.shape
    for n in part(N, number, threads):
        scale = scale_N[n]
        along = _F(_along(gradient_NE[n], gain_E, x_NE[n]) * scale / E)
        for e in range(E):
            inner = gradient_NE[n, e] * gain_E[e]
            of_x_NE[n, e] = (inner - x_NE[n, e] * scale * along) * scale


@in_order
def norm_gradient(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes the gradient of x, from that of `norm`."""
    on_threads(fork, which, threads, _norm_gradient, given)
