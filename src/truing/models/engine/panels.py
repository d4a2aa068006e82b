"""Weights that stay as they are, laid out for products of few rows: a decode step's, and short passes'.

They are panels of columns, which are read from memory once, in order: while some rows are multiplied with
a panel, the next one is on its way. A tile of 8 rows and 48 columns is summed in registers (Goto and van de
Geijn, 2008, "Anatomy of high-performance matrix multiplication", sections 4 and 6, for panels and
registers). Each number is one sum in the order of the inputs, so that it depends neither on the other rows
nor on threads.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from truing.models.engine import openmp
from truing.models.engine.kernels import compiled, part
from truing.models.engine.openmp import on_threads
from truing.models.engine.tiles import COLUMNS, LANES, STEP, has_instructions

MOST_ROWS = 256
"""That a panel is read for: what is read of more would leave the core's own cache."""
_NEEDED = {"float32": ["avx512f"], "int8": ["avx512f", "avx512bw", "avx512vnni"]}


@cache
def can_multiply(kind: str) -> bool:
    """Whether this processor and PyTorch's build run products of a kind: "float32" or "int8"."""
    if sys.byteorder != "little" or openmp.team(2)[0] == 0:
        return False
    return has_instructions(*_NEEDED[kind])


@compiled
def next_lines(panels: Any, panel: Any, end: Any, block: Any, blocks: Any) -> Any:
    """What is asked of memory while a block of rows is multiplied with a panel: its share of the next, from
    where on, and how far apart."""
    steps = panels.shape[1]
    if panel + 1 >= end:
        return panels.ctypes.data + panel * steps * STEP, 0
    ahead = max(1, STEP // blocks)
    return panels.ctypes.data + (panel + 1) * steps * STEP + block * steps * ahead, ahead


@compiled
def _lay_out_share(number: Any, threads: Any, weight_OI: Any, panels_PSCF: Any) -> None:
    P, S, C, F = panels_PSCF.shape
    for p in part(P, number, threads):
        if (p + 1) * C > len(weight_OI):
            panels_PSCF[p] = 0
        weight_CI = weight_OI[p * C : (p + 1) * C]
        # A line of each column: what is written stays in the cache.
        for first in range(0, S, LANES):
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


def laid_out(weight_OI: Tensor, inputs: int) -> np.ndarray:
    """(P, I / inputs, columns, inputs): so many inputs of a column side by side. Columns that aren't there
    are 0."""
    O, I = weight_OI.shape  # noqa: E741
    weight = weight_OI.contiguous().numpy()
    panels = np.empty((-(-O // COLUMNS), I // inputs, COLUMNS, inputs), weight.dtype)
    _lay_out(*openmp.team(len(panels)), weight, panels)
    return panels
