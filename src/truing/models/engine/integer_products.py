"""Products of eight-bit integers with panels of weights (panels.py): four are multiplied and summed at once
(VNNI), or a tile of them where the processor has tile registers (matrix_tiles.py), with the same sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from truing.models.engine import matrix_tiles, openmp
from truing.models.engine.kernels import in_order, part
from truing.models.engine.matrix_tiles import (
    HALVES,
    INPUTS,
    SIDE,
    TILES,
    begin,
    end,
    multiply_one,
    multiply_two,
)
from truing.models.engine.openmp import on_threads
from truing.models.engine.panels import MOST_ROWS, laid_out, next_lines
from truing.models.engine.tiles import (
    COLUMNS,
    LANES,
    LINE,
    ROWS,
    STEP,
    VECTORS,
    integer_tile,
    join_vector,
)

PART = np.float32(1 / 254)  # of a row's first integers that the second are multiples of
FOUR = 4  # integers whose products are summed at once
OPENED = 128  # added to a signed byte it is one without a sign
_BEYOND = TILES * SIDE - 1  # rows behind the last that tile registers read, at most
_SHAPES = matrix_tiles.shapes()


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
    for chunk in range(0, N, MOST_ROWS):
        until = min(chunk + MOST_ROWS, N)
        blocks = -(-(until - chunk) // ROWS)
        for panel in mine:
            columns, o = np.uintp(panels.ctypes.data + panel * steps * STEP), panel * COLUMNS
            opened_C, scale_C = opened_O[o : o + COLUMNS], scale_O[o : o + COLUMNS]
            for block in range(blocks):
                n = chunk + block * ROWS
                rows, start = min(ROWS, until - n), x_MI.ctypes.data
                soon, ahead = next_lines(panels, panel, mine.stop, block, blocks)
                row, into, asked = start + n * I, np.uintp(sums.ctypes.data), np.uintp(soon)
                integer_tile(np.uintp(row), I, rows, columns, steps, asked, ahead, into)
                row, into = start + (N + n) * I, np.uintp(below.ctypes.data)
                integer_tile(np.uintp(row), I, rows, columns, steps, asked, ahead, into)
                for r in range(rows):
                    out_C = out_NO[n + r, o : o + COLUMNS]
                    _join(sums[r], below[r], opened_C, scale_C, largest_N[n + r], out_C)


@in_order
def _integer_product(fork: Any, which: Any, threads: Any, *given: Any) -> None:
    on_threads(fork, which, threads, _integer_share, given)


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
    sums_VTHXC = np.empty((VECTORS, TILES, HALVES, SIDE, SIDE), np.int32)
    mine, bytes_each = part(len(panels), number, threads), steps * STEP
    for panel in mine:
        place, o = panels.ctypes.data + panel * bytes_each, panel * COLUMNS
        opened_C, scale_C = opened_O[o : o + COLUMNS], scale_O[o : o + COLUMNS]
        for n in range(0, N, TILES * SIDE):
            row = x_MI.ctypes.data + n * I
            first, second = np.uintp(row), np.uintp(row + N * I)
            ahead = bytes_each if n == 0 and panel + 1 < mine.stop else 0
            for v in range(VECTORS):
                columns = np.uintp(place + v * LINE)
                soon, into = np.uintp(columns + ahead), np.uintp(sums_VTHXC[v].ctypes.data)
                if N - n > SIDE:
                    multiply_two(first, second, I, columns, steps // SIDE, soon, into)
                else:
                    multiply_one(first, second, I, columns, steps // SIDE, soon, into)
            for r in range(min(TILES * SIDE, N - n)):
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
        self._panels = laid_out(weight_OI, FOUR)
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
