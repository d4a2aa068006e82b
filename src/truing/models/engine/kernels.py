"""What a decode step does between its matrix products, compiled for the processor.

A step has few rows, so that starting PyTorch's operators would take longer than what they do: each kernel
goes once over what some ten of them would. Arrays are float32, or bfloat16 as its bits (uint16); sums are
in float32. A row's numbers depend neither on the other rows nor on threads; on how many a kernel runs, its
first arguments say (openmp.py).

What is compiled is kept on disk for as long as the file that it stands in doesn't change: whoever changes
what kernels of another file call has to touch that file as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor

from truing.models.engine import openmp
from truing.models.engine.openmp import on_threads

_F = np.float32
ROWS_EACH = 8
"""Rows that a thread gets at least."""
_IN_ORDER = frozenset({"contract", "nsz"})  # what may be changed of a formula: NaN and inf stay ...
_AS_VECTORS = _IN_ORDER | {"reassoc", "arcp"}  # ... and a sum may be taken in any order


def compiled(function: Callable[..., Any], changes: frozenset[str] = _AS_VECTORS) -> Any:
    """The function as machine code, made at its first call and kept beside the file, or where the user's
    caches are; in memory alone where neither can be written."""
    # What a kernel calls is made part of it: a function of its own may be another's copy of it, differently
    # optimised where all was compiled just now and where all was read from the disk.
    options: Any = {
        "nogil": True,
        "error_model": "numpy",
        "fastmath": set(changes),
        "forceinline": True,
    }
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)


in_order = partial(compiled, changes=_IN_ORDER)
"""The same of sums that are taken as they are written."""


def operator(function: Callable[..., Any]) -> Any:
    """An operator that kernels call, from a function that gives its type and writes its code."""
    return intrinsic(function)


def array_of(x: Tensor) -> Any:
    """The tensor's numbers as kernels take them, without a copy."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def team_of(rows: int) -> tuple[int, int, int]:
    """The threads for work on so many rows: of fewer, one is done before another has begun."""
    return openmp.team(rows // ROWS_EACH)


@operator
def _float_of(context: Any, bits: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), code


@operator
def _bits_of(context: Any, number: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), code


@operator
def wide(context: Any, number: Any) -> Any:
    """A number of an array as float32."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if isinstance(number, types.Float):
            return arguments[0]
        bits = builder.zext(arguments[0], ir.IntType(32))
        return builder.bitcast(builder.shl(bits, ir.IntType(32)(16)), ir.FloatType())

    return types.float32(number), code


@operator
def narrow(context: Any, number: Any, into: Any) -> Any:
    """A float32 as an array has its numbers: the nearest, of two the even one."""
    kind = into.dtype

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if isinstance(kind, types.Float):
            return arguments[0]
        word, bits = ir.IntType(32), builder.bitcast(arguments[0], ir.IntType(32))
        odd = builder.and_(builder.lshr(bits, word(16)), word(1))
        bits = builder.add(bits, builder.add(odd, word(0x7FFF)))
        return builder.trunc(builder.lshr(bits, word(16)), ir.IntType(16))

    return kind(types.float32, into), code


_LOWEST = _F(-87.0)  # below it exp would leave float32
_LOG2_E, _LN_2, _LN_2_REST = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4)
_P0, _P1, _P2 = _F(1.9875691500e-4), _F(1.3981999507e-3), _F(8.3334519073e-3)
_P3, _P4, _P5 = _F(4.1665795894e-2), _F(1.6666665459e-1), _F(5.0000001201e-1)


@in_order
def exp(x: Any) -> Any:
    """exp of a float32 that isn't above 0, within 1e-7 of it; 0 below -87. 2^n times Cephes' polynomial."""
    n = np.int32(max(x, _LOWEST) * _LOG2_E - _F(0.5))
    r = x - _F(n) * _LN_2 - _F(n) * _LN_2_REST
    polynomial = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    power = _float_of(np.uint32(n + np.int32(127)) << np.uint32(23))
    return _F(0) if x < _LOWEST else (polynomial * r * r + r + _F(1)) * power


@njit(inline="always", forceinline=True)
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)) of a float32 of any size, in its kernel's order."""
    rest = exp(-abs(x))
    return (_F(1) if x >= 0 else rest) / (_F(1) + rest)


@compiled
def part(rows: Any, number: Any, threads: Any) -> Any:
    """The numbers of a thread's rows."""
    return range(rows * number // threads, rows * (number + 1) // threads)


@compiled
def norm(x_NE: Any, gain_E: Any, eps: Any, out_NE: Any) -> None:
    """Writes x / sqrt(mean(x^2) + eps) * gain of each row."""
    N, E = x_NE.shape
    for n in range(N):
        total = _F(0)
        for e in range(E):
            total += wide(x_NE[n, e]) * wide(x_NE[n, e])
        scale = _F(1) / np.sqrt(total / _F(E) + eps)
        for e in range(E):
            out_NE[n, e] = narrow(wide(x_NE[n, e]) * scale * wide(gain_E[e]), out_NE)


@compiled
def norm_of_sum(x_NE: Any, beside_NE: Any, gain_E: Any, eps: Any, out_NE: Any) -> None:
    """Adds what stands beside x to it, in place, and writes the norm of the sum."""
    N, E = x_NE.shape
    for n in range(N):
        for e in range(E):
            x_NE[n, e] = narrow(wide(x_NE[n, e]) + wide(beside_NE[n, e]), x_NE)
    norm(x_NE, gain_E, eps, out_NE)


@compiled
def _rounded_twice(
    number: Any, threads: Any, x_NI: Any, above: Any, integers_MI: Any, largest_N: Any
) -> None:
    N, I = x_NI.shape  # noqa: E741
    for n in part(N, number, threads):
        # Bits without the sign are in the order of the numbers, and those of no number above all.
        bits = _bits_of(_F(1e-30))
        for i in range(I):
            bits = max(bits, _bits_of(x_NI[n, i]) & np.uint32(0x7FFFFFFF))
        largest_N[n] = _float_of(bits)
        scale = _F(127) / largest_N[n]
        for i in range(I):
            value = x_NI[n, i] * scale
            first = np.int32(value + math.copysign(_F(0.5), value))
            integers_MI[n, i] = np.int8(first + above)
            integers_MI[N + n, i] = np.int8(np.int32((value - _F(first)) * _F(254)) + above)


@compiled
def rounded_twice(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes rows x (N, I) of float32 as two rows of integers each (2 N, I), so much above themselves in a
    byte's circle, and the largest of each row (N,); see int8.py. Of a row that isn't finite it isn't."""
    on_threads(fork, which, threads, _rounded_twice, given)


@compiled
def joined(sums_MO: Any, largest_N: Any, out_NO: Any) -> None:
    """Writes what the products of `rounded_twice`'s integers stand for."""
    N, O = out_NO.shape  # noqa: E741
    for n in range(N):
        for o in range(O):
            out_NO[n, o] = (sums_MO[n, o] + sums_MO[N + n, o] * _F(1 / 254)) * largest_N[n]


@compiled
def _swiglu(number: Any, threads: Any, gate_up_NF: Any, out_NF: Any) -> None:
    N, inner = out_NF.shape
    for n in part(N, number, threads):
        for f in range(inner):
            gate = gate_up_NF[n, f]
            out_NF[n, f] = gate * sigmoid(gate) * gate_up_NF[n, inner + f]


@compiled
def swiglu(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    """Writes silu(gate) * up of rows that have one behind the other."""
    on_threads(fork, which, threads, _swiglu, given)
