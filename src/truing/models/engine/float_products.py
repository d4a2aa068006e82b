"""Products in float32 with panels of weights (panels.py): a number is multiplied and added in one rounding
(FMA)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from truing.models.engine import openmp
from truing.models.engine.kernels import in_order, part
from truing.models.engine.openmp import on_threads
from truing.models.engine.panels import MOST_ROWS, laid_out, next_lines
from truing.models.engine.tiles import (
    COLUMNS,
    LANES,
    LINE,
    ROWS,
    STEP,
    add_vector,
    float_tile,
    put_vector,
)

DEPTH = 256  # inputs whose products are summed by themselves: of fewer, less is rounded away


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
    for chunk in range(0, N, MOST_ROWS):
        until = min(chunk + MOST_ROWS, N)
        blocks = -(-(until - chunk) // ROWS)
        for panel in mine:
            place, o = panels.ctypes.data + panel * I * STEP, panel * COLUMNS
            for block in range(blocks):
                n = chunk + block * ROWS
                rows, row = min(ROWS, until - n), x_NI.ctypes.data + n * I * 4
                soon, ahead = next_lines(panels, panel, mine.stop, block, blocks)
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


class FloatPanels:
    """Products with a frozen weight (O, I) in float32, of which it holds a copy."""

    def __init__(self, weight_OI: Tensor) -> None:
        self._outputs = len(weight_OI)
        self._panels = laid_out(weight_OI, 1)

    def __call__(self, x_NI: Tensor) -> Tensor:
        """x W^T: (N, O)."""
        out_NO = torch.empty(len(x_NI), self._outputs)
        given = x_NI.detach().contiguous().numpy(), self._panels, out_NO.numpy()
        _float_product(*openmp.team(len(self._panels)), *given)
        return out_NO
