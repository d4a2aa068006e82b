"""Matrix products of few rows with weights that stay as they are: a decode step's, and short passes'.

Weights are laid out as panels of columns, which are read from memory once, in order: while some rows are
multiplied with a panel, the next one is on its way. A tile of 8 rows and 48 columns is summed in registers
(Goto and van de Geijn, 2008, "Anatomy of high-performance matrix multiplication", sections 4 and 6, for
panels and registers). Each number is one sum in the order of the inputs, so that it depends neither on the
other rows nor on threads.

Float32 numbers are multiplied and added in one rounding (FMA); eight-bit integers four at a time (VNNI).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from truing.models.engine import openmp
from truing.models.engine.kernels import compiled, in_order
from truing.models.engine.openmp import cgutils, on_threads

LANES = 16  # numbers of a vector of 512 bits
VECTORS = 3  # of them side by side in a tile ...
COLUMNS = LANES * VECTORS  # ... which are a panel's columns
ROWS = 8  # of a tile
STEP = COLUMNS * 4  # bytes of a panel that one input takes, or four inputs of a byte each
LINE = 64  # bytes that memory gives at once
DEPTH = 256  # inputs whose products are summed by themselves: of fewer, less is rounded away
PART = np.float32(1 / 254)  # of a row's first integers that the second are multiples of
FOUR = 4  # integers whose products are summed at once
OPENED = 128  # added to a signed byte it is one without a sign

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_FLOATS, _INTEGERS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(_I32, LANES)
_BYTES = ir.VectorType(_I8, 4 * LANES)

_NEEDED = {"float32": {"avx512f"}, "int8": {"avx512f", "avx512bw", "avx512vnni"}}


@cache
def has(kind: str) -> bool:
    """Whether this processor and PyTorch's build run products of a kind: "float32" or "int8"."""
    if sys.byteorder != "little" or openmp.team(2)[0] == 0:
        return False
    features = llvm.get_host_cpu_features()
    return all(features.get(name, False) for name in _NEEDED[kind])


def _tile(
    vector: ir.Type, multiplied: Callable[[ir.IRBuilder, Any, Any, Any], Any], number: ir.Type
) -> Any:
    """An operator that writes a tile: the sums of products of 8 rows with a panel.

    Of `rows` below 8 the last stands for those that aren't there. `number` is what one row gives in a step,
    `multiplied` adds its product with a vector of the panel to a vector of sums. In each step a line of
    memory is asked for, `ahead` bytes behind the last from `soon` on.
    """

    def operator(
        context: Any,
        x: Any,
        row_bytes: Any,
        rows: Any,
        panel: Any,
        depth: Any,
        soon: Any,
        ahead: Any,
        tile: Any,
    ) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, row_bytes, rows, panel, depth, soon, ahead, tile = arguments
            kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
            ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            last = builder.sub(rows, _I64(1))
            starts = []
            for r in range(ROWS):
                there = builder.icmp_signed("<", _I64(r), rows)
                row = builder.select(there, _I64(r), last)
                starts.append(builder.add(x, builder.mul(row, row_bytes)))
            entry = builder.block
            loop, done = builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_I64)
            step.add_incoming(_I64(0), entry)
            sums = [[builder.phi(vector) for _ in range(VECTORS)] for _ in range(ROWS)]
            place = builder.add(panel, builder.mul(step, _I64(STEP)))
            columns = [_loaded(builder, builder.add(place, _I64(v * LINE))) for v in range(VECTORS)]
            x_place, added = builder.mul(step, _I64(4)), []
            for start, of_row in zip(starts, sums, strict=True):
                one = builder.inttoptr(builder.add(start, x_place), number.as_pointer())
                spread = _spread(builder, builder.load(one))
                added.append(
                    [
                        multiplied(builder, spread, *pair)
                        for pair in zip(columns, of_row, strict=True)
                    ]
                )
            wanted = builder.add(soon, builder.mul(step, ahead))
            read, near, data = _I32(0), _I32(2), _I32(1)
            builder.call(ask, [builder.inttoptr(wanted, _I8.as_pointer()), read, near, data])
            following = builder.add(step, _I64(1))
            step.add_incoming(following, loop)
            for of_row, new in zip(sums, added, strict=True):
                for phi, value in zip(of_row, new, strict=True):
                    phi.add_incoming(ir.Constant(vector, None), entry)
                    phi.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
            builder.position_at_end(done)
            for number_of, value in enumerate(value for new in added for value in new):
                where = builder.add(tile, _I64(number_of * LINE))
                builder.store(value, builder.inttoptr(where, vector.as_pointer())).align = 4
            return context.get_dummy_value()

        where, count = types.uintp, types.intp
        return types.void(where, count, count, where, count, where, count, where), code

    return intrinsic(operator)


def _loaded(builder: Any, place: Any) -> Any:
    """A vector of a panel, as sixteen numbers of four bytes."""
    loaded = builder.load(builder.inttoptr(place, _INTEGERS.as_pointer()))
    loaded.align = 4
    return loaded


def _spread(builder: Any, number: Any) -> Any:
    """A number in all places of a vector."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(nothing, number, _I32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_INTEGERS, None))


def _fused(builder: Any, x: Any, column: Any, total: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
    return builder.call(fma, [x, builder.bitcast(column, _FLOATS), total])


def _four_at_a_time(builder: Any, x: Any, column: Any, total: Any) -> Any:
    kind = ir.FunctionType(_INTEGERS, [_INTEGERS, _BYTES, _BYTES])
    dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    return builder.call(dot, [total, builder.bitcast(x, _BYTES), builder.bitcast(column, _BYTES)])


_float_tile = _tile(_FLOATS, _fused, ir.FloatType())
_integer_tile = _tile(_INTEGERS, _four_at_a_time, _I32)


_MOST = 256
"""Rows that a panel is read for: what is read of more would leave the core's own cache."""


@compiled
def _next(panels: Any, panel: Any, end: Any, block: Any, blocks: Any) -> Any:
    """What is asked of memory while a block of rows is multiplied with a panel: its share of the next, from
    where on, and how far apart."""
    steps = panels.shape[1]
    if panel + 1 >= end:
        return panels.ctypes.data + panel * steps * STEP, 0
    ahead = max(1, STEP // blocks)
    return panels.ctypes.data + (panel + 1) * steps * STEP + block * steps * ahead, ahead


@in_order
def _float_share(number: Any, threads: Any, x_NI: Any, panels: Any, out_NO: Any) -> None:
    (N, I), count = x_NI.shape, len(panels)  # noqa: E741
    sums = np.empty((ROWS, COLUMNS), np.float32)
    first, end = count * number // threads, count * (number + 1) // threads
    for chunk in range(0, N, _MOST):
        until = min(chunk + _MOST, N)
        blocks = -(-(until - chunk) // ROWS)
        for panel in range(first, end):
            place, o = panels.ctypes.data + panel * I * STEP, panel * COLUMNS
            for block in range(blocks):
                n = chunk + block * ROWS
                rows, row = min(ROWS, until - n), x_NI.ctypes.data + n * I * 4
                soon, ahead = _next(panels, panel, end, block, blocks)
                for i in range(0, I, DEPTH):
                    there, columns = np.uintp(row + i * 4), np.uintp(place + i * STEP)
                    steps, asked = min(DEPTH, I - i), np.uintp(soon + i * ahead)
                    into = np.uintp(sums.ctypes.data)
                    _float_tile(there, I * 4, rows, columns, steps, asked, ahead, into)
                    for r in range(rows):
                        out_C, sums_C = out_NO[n + r, o : o + COLUMNS], sums[r]
                        for c in range(len(out_C)):
                            out_C[c] = sums_C[c] if i == 0 else out_C[c] + sums_C[c]


@in_order
def _float_product(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _float_share, given)


@in_order
def _integer_share(
    number: Any,
    threads: Any,
    x_MI: Any,
    panels: Any,
    largest_N: Any,
    opened_O: Any,
    scale_O: Any,
    out_NO: Any,
) -> None:
    N, I, count, steps = len(largest_N), x_MI.shape[1], len(panels), panels.shape[1]  # noqa: E741
    sums, below = np.empty((ROWS, COLUMNS), np.int32), np.empty((ROWS, COLUMNS), np.int32)
    first, end = count * number // threads, count * (number + 1) // threads
    for chunk in range(0, N, _MOST):
        until = min(chunk + _MOST, N)
        blocks = -(-(until - chunk) // ROWS)
        for panel in range(first, end):
            columns, o = np.uintp(panels.ctypes.data + panel * steps * STEP), panel * COLUMNS
            opened_C, scale_C = opened_O[o : o + COLUMNS], scale_O[o : o + COLUMNS]
            for block in range(blocks):
                n = chunk + block * ROWS
                rows, start = min(ROWS, until - n), x_MI.ctypes.data
                soon, ahead = _next(panels, panel, end, block, blocks)
                row, into, asked = start + n * I, np.uintp(sums.ctypes.data), np.uintp(soon)
                _integer_tile(np.uintp(row), I, rows, columns, steps, asked, ahead, into)
                row, into = start + (N + n) * I, np.uintp(below.ctypes.data)
                _integer_tile(np.uintp(row), I, rows, columns, steps, asked, ahead, into)
                for r in range(rows):
                    out_C, sums_C, below_C = out_NO[n + r, o : o + COLUMNS], sums[r], below[r]
                    for c in range(len(out_C)):
                        one = np.float32(np.int32(sums_C[c] - opened_C[c]))
                        other = np.float32(np.int32(below_C[c] - opened_C[c]))
                        joined = one * scale_C[c] + other * scale_C[c] * PART
                        out_C[c] = joined * largest_N[n + r]


@in_order
def _integer_product(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _integer_share, given)


def _panels(weight_OI: Tensor, inputs: int) -> Tensor:
    """(P, I / inputs, columns, inputs): so many inputs of a column side by side. Columns that aren't there
    are 0."""
    O, I = weight_OI.shape  # noqa: E741
    whole = torch.nn.functional.pad(weight_OI, (0, 0, 0, -O % COLUMNS))
    return whole.view(-1, COLUMNS, I // inputs, inputs).transpose(1, 2).contiguous()


class FloatPanels:
    """Products with a frozen weight (O, I) in float32, of which it holds a copy."""

    def __init__(self, weight_OI: Tensor) -> None:
        self._outputs = len(weight_OI)
        self._panels = _panels(weight_OI, 1).numpy()

    def __call__(self, x_NI: Tensor) -> Tensor:
        """x W^T: (N, O)."""
        out_NO = torch.empty(len(x_NI), self._outputs)
        given = x_NI.detach().contiguous().numpy(), self._panels, out_NO.numpy()
        _float_product(*openmp.team(len(self._panels)), *given)
        return out_NO


class IntegerPanels:
    """Products with a frozen weight (O, I) of integers from -127 to 127, I a multiple of four; `scale_O`:
    what a sum of products of integers stands for."""

    above = OPENED
    """What is added to rows' integers: products want one of their two without a sign."""

    def __init__(self, weight_OI: Tensor, scale_O: Tensor) -> None:
        self._panels = _panels(weight_OI, FOUR).numpy()
        self._scale_O = scale_O.contiguous().numpy()
        self._opened_O = (weight_OI.sum(1, dtype=torch.int32) * OPENED).numpy()

    def __call__(self, integers_MI: Tensor, largest_N: Tensor) -> Tensor:
        """(N, O): what rows of two integers stand for, which are `above` themselves; see `rounded_twice`."""
        out_NO = torch.empty(len(largest_N), len(self._scale_O))
        rows = integers_MI.numpy(), self._panels, largest_N.numpy()
        given = *rows, self._opened_O, self._scale_O, out_NO.numpy()
        _integer_product(*openmp.team(len(self._panels)), *given)
        return out_NO
