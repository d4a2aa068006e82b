"""Matrix products of few rows with weights that stay as they are: a decode step's, and short passes'.

Weights are laid out as panels of columns, which are read from memory once, in order: while some rows are
multiplied with a panel, the next one is on its way. A tile of 8 rows and 48 columns is summed in registers
(Goto and van de Geijn, 2008, "Anatomy of high-performance matrix multiplication", sections 4 and 6, for
panels and registers). Each number is one sum in the order of the inputs, so that it depends neither on the
other rows nor on threads.

Float32 numbers are multiplied and added in one rounding (FMA); eight-bit integers four at a time (VNNI), or
by tile registers where the processor has them (matrix_tiles.py), with the same sums.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import torch
from torch import Tensor

from truing.models.engine import matrix_tiles, openmp
from truing.models.engine.kernels import compiled, in_order, part
from truing.models.engine.matrix_tiles import (
    HALVES,
    INPUTS,
    SIDE,
    begin,
    end,
    multiply_16_rows,
    multiply_32_rows,
)
from truing.models.engine.openmp import on_threads
from truing.models.engine.tiles import (
    COLUMNS,
    LANES,
    LINE,
    ROWS,
    STEP,
    VECTORS,
    add_vector,
    float_tile,
    integer_tile,
    join_vector,
    put_vector,
)

DEPTH = 256  # inputs whose products are summed by themselves: of fewer, less is rounded away
PART = np.float32(1 / 254)  # of a row's first integers that the second are multiples of
FOUR = 4  # integers whose products are summed at once
_BEYOND = 2 * SIDE - 1  # rows behind the last that tile registers read, at most
OPENED = 128  # added to a signed byte it is one without a sign

_SHAPES = matrix_tiles.shapes()
_NEEDED = {"float32": {"avx512f"}, "int8": {"avx512f", "avx512bw", "avx512vnni"}}


@cache
def has(kind: str) -> bool:
    """Whether this processor and PyTorch's build run products of a kind: "float32" or "int8"."""
    if sys.byteorder != "little" or openmp.team(2)[0] == 0:
        return False
    features = llvm.get_host_cpu_features()
    return all(features.get(name, False) for name in _NEEDED[kind])


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
def _add(first: Any, sums_C: Any, out_C: Any) -> Any:
    """Puts a row's sums where they belong, or adds them to what is there."""
    vectors = len(out_C) // LANES
    for v in range(vectors):
        sums, into = np.uintp(sums_C.ctypes.data + v * LINE), np.uintp(out_C.ctypes.data + v * LINE)
        if first:
            put_vector(sums, into)
        else:
            add_vector(sums, into)
    for c in range(vectors * LANES, len(out_C)):
        out_C[c] = sums_C[c] if first else out_C[c] + sums_C[c]


@in_order
def _float_share(number: Any, threads: Any, x_NI: Any, panels: Any, out_NO: Any) -> None:
    N, I = x_NI.shape  # noqa: E741
    sums = np.empty((ROWS, COLUMNS), np.float32)
    mine = part(len(panels), number, threads)
    for chunk in range(0, N, _MOST):
        until = min(chunk + _MOST, N)
        blocks = -(-(until - chunk) // ROWS)
        for panel in mine:
            place, o = panels.ctypes.data + panel * I * STEP, panel * COLUMNS
            for block in range(blocks):
                n = chunk + block * ROWS
                rows, row = min(ROWS, until - n), x_NI.ctypes.data + n * I * 4
                soon, ahead = _next(panels, panel, mine.stop, block, blocks)
                for i in range(0, I, DEPTH):
                    there, columns = np.uintp(row + i * 4), np.uintp(place + i * STEP)
                    steps, asked = min(DEPTH, I - i), np.uintp(soon + i * ahead)
                    into = np.uintp(sums.ctypes.data)
                    float_tile(there, I * 4, rows, columns, steps, asked, ahead, into)
                    for r in range(rows):
                        _add(i == 0, sums[r], out_NO[n + r, o : o + COLUMNS])


@in_order
def _float_product(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _float_share, given)


@in_order
def _join(sums: Any, below: Any, opened_C: Any, scale_C: Any, largest: Any, out_C: Any) -> Any:
    """What a row's sums of both integers stand for."""
    vectors = len(out_C) // LANES
    for v in range(vectors):
        c, o = v * LINE, np.uintp(out_C.ctypes.data + v * LINE)
        both = np.uintp(sums.ctypes.data + c), np.uintp(below.ctypes.data + c)
        of_columns = np.uintp(opened_C.ctypes.data + c), np.uintp(scale_C.ctypes.data + c)
        join_vector(*both, *of_columns, PART, largest, o)
    for c in range(vectors * LANES, len(out_C)):
        one = np.float32(np.int32(sums[c] - opened_C[c]))
        other = np.float32(np.int32(below[c] - opened_C[c]))
        joined = one * scale_C[c] + other * scale_C[c] * PART
        out_C[c] = joined * largest


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
    N, I, steps = len(largest_N), x_MI.shape[1], panels.shape[1]  # noqa: E741
    sums, below = np.empty((ROWS, COLUMNS), np.int32), np.empty((ROWS, COLUMNS), np.int32)
    mine = part(len(panels), number, threads)
    for chunk in range(0, N, _MOST):
        until = min(chunk + _MOST, N)
        blocks = -(-(until - chunk) // ROWS)
        for panel in mine:
            columns, o = np.uintp(panels.ctypes.data + panel * steps * STEP), panel * COLUMNS
            opened_C, scale_C = opened_O[o : o + COLUMNS], scale_O[o : o + COLUMNS]
            for block in range(blocks):
                n = chunk + block * ROWS
                rows, start = min(ROWS, until - n), x_MI.ctypes.data
                soon, ahead = _next(panels, panel, mine.stop, block, blocks)
                row, into, asked = start + n * I, np.uintp(sums.ctypes.data), np.uintp(soon)
                integer_tile(np.uintp(row), I, rows, columns, steps, asked, ahead, into)
                row, into = start + (N + n) * I, np.uintp(below.ctypes.data)
                integer_tile(np.uintp(row), I, rows, columns, steps, asked, ahead, into)
                for r in range(rows):
                    out_C = out_NO[n + r, o : o + COLUMNS]
                    _join(sums[r], below[r], opened_C, scale_C, largest_N[n + r], out_C)


@in_order
def _tiled_share(
    number: Any,
    threads: Any,
    x_MI: Any,
    panels: Any,
    largest_N: Any,
    opened_O: Any,
    scale_O: Any,
    shapes: Any,
    out_NO: Any,
) -> None:
    """As `_integer_share`, by tile registers."""
    begin(np.uintp(shapes.ctypes.data))
    N, I, steps = len(largest_N), x_MI.shape[1], panels.shape[1]  # noqa: E741
    sums_VTHXC = np.empty((VECTORS, 2, HALVES, SIDE, SIDE), np.int32)
    mine, bytes_each = part(len(panels), number, threads), steps * STEP
    for panel in mine:
        place, o = panels.ctypes.data + panel * bytes_each, panel * COLUMNS
        opened_C, scale_C = opened_O[o : o + COLUMNS], scale_O[o : o + COLUMNS]
        for n in range(0, N, 2 * SIDE):
            row = x_MI.ctypes.data + n * I
            first, second = np.uintp(row), np.uintp(row + N * I)
            ahead = bytes_each if n == 0 and panel + 1 < mine.stop else 0
            for v in range(VECTORS):
                columns = np.uintp(place + v * LINE)
                soon, into = np.uintp(columns + ahead), np.uintp(sums_VTHXC[v].ctypes.data)
                if N - n > SIDE:
                    multiply_32_rows(first, second, I, columns, steps // SIDE, soon, into)
                else:
                    multiply_16_rows(first, second, I, columns, steps // SIDE, soon, into)
            for r in range(min(2 * SIDE, N - n)):
                t, x = r // SIDE, r % SIDE
                for v in range(VECTORS):
                    c, sums_HXC = v * SIDE, sums_VTHXC[v, t]
                    out_C = out_NO[n + r, o + c : o + c + SIDE]
                    columns_of = opened_C[c : c + SIDE], scale_C[c : c + SIDE]
                    _join(sums_HXC[0, x], sums_HXC[1, x], *columns_of, largest_N[n + r], out_C)
    end()


@in_order
def _tiled_product(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _tiled_share, given)


@in_order
def _integer_product(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _integer_share, given)


@compiled
def _lay_out_share(number: Any, threads: Any, weight_OI: Any, panels_PSCF: Any) -> None:
    P, S, C, F = panels_PSCF.shape
    for p in part(P, number, threads):
        if (p + 1) * C > len(weight_OI):
            panels_PSCF[p] = 0
        weight_CI = weight_OI[p * C : (p + 1) * C]
        for first in range(
            0, S, LANES
        ):  # a line of each column: what is written stays in the cache
            until = min(first + LANES, S)
            for c in range(len(weight_CI)):
                inputs_I = weight_CI[c, first * F : until * F]
                into_SF = panels_PSCF[p, first:until, c]
                for s in range(len(into_SF)):
                    for f in range(F):
                        into_SF[s, f] = inputs_I[s * F + f]


@compiled
def _lay_out(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _lay_out_share, given)


def _panels(weight_OI: Tensor, inputs: int) -> np.ndarray:
    """(P, I / inputs, columns, inputs): so many inputs of a column side by side. Columns that aren't there
    are 0."""
    O, I = weight_OI.shape  # noqa: E741
    weight = weight_OI.contiguous().numpy()
    panels = np.empty((-(-O // COLUMNS), I // inputs, COLUMNS, inputs), weight.dtype)
    _lay_out(*openmp.team(len(panels)), weight, panels)
    return panels


class FloatPanels:
    """Products with a frozen weight (O, I) in float32, of which it holds a copy."""

    def __init__(self, weight_OI: Tensor) -> None:
        self._outputs = len(weight_OI)
        self._panels = _panels(weight_OI, 1)

    def __call__(self, x_NI: Tensor) -> Tensor:
        """x W^T: (N, O)."""
        out_NO = torch.empty(len(x_NI), self._outputs)
        given = x_NI.detach().contiguous().numpy(), self._panels, out_NO.numpy()
        _float_product(*openmp.team(len(self._panels)), *given)
        return out_NO


def rows_with_room(rows: int, inputs: int) -> Tensor:
    """Memory for integers (rows, inputs); what lies behind them tile registers may read, to no effect."""
    return torch.empty(rows + _BEYOND, inputs, dtype=torch.int8)[:rows]


def _with_room(integers_MI: Tensor) -> Tensor:
    """The same integers, where there is such memory behind them."""
    held = integers_MI.untyped_storage().nbytes() - integers_MI.storage_offset()
    if integers_MI.is_contiguous() and held >= (len(integers_MI) + _BEYOND) * integers_MI.shape[1]:
        return integers_MI
    return rows_with_room(*integers_MI.shape).copy_(integers_MI)


class IntegerPanels:
    """Products with a frozen weight (O, I) of integers from -127 to 127, I a multiple of four; `scale_O`:
    what a sum of products of integers stands for."""

    above = OPENED
    """What is added to rows' integers: products want one of their two without a sign."""

    def __init__(self, weight_OI: Tensor, scale_O: Tensor) -> None:
        self._panels = _panels(weight_OI, FOUR)
        self._tiled = weight_OI.shape[1] % INPUTS == 0 and matrix_tiles.are_here()
        self._scale_O = scale_O.contiguous().numpy()
        self._opened_O = (weight_OI.sum(1, dtype=torch.int32) * OPENED).numpy()

    def __call__(self, integers_MI: Tensor, largest_N: Tensor) -> Tensor:
        """(N, O): what rows of two integers stand for (`rounded_twice`), which are `above` themselves."""
        out_NO = torch.empty(len(largest_N), len(self._scale_O))
        if self._tiled:
            integers_MI = _with_room(integers_MI)
        rows = integers_MI.numpy(), self._panels, largest_N.numpy()
        team, given = openmp.team(len(self._panels)), (*rows, self._opened_O, self._scale_O)
        if self._tiled:
            _tiled_product(*team, *given, _SHAPES, out_NO.numpy())
        else:
            _integer_product(*team, *given, out_NO.numpy())
        return out_NO
