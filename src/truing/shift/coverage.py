"""Which target prompts nothing in training comes near to.

A prompt is near to another where their words are (cosine of TF-IDF). How near is near enough, the target
itself says: nine in ten of its prompts have a neighbour among the other target prompts that is as near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.shift.grouping import Bools, Ints

Floats = NDArray[np.float64]
FAR = 0.1
"""The share of target prompts that are far from all other target prompts, by definition."""
_ROWS = 512


@dataclass(frozen=True)
class Coverage:
    """Similarities of each target prompt (M,) to the nearest training prompt, which `nearest_M` names
    (a row of the matrix), and to the nearest target prompt of another group."""

    threshold: float
    to_train_M: Floats
    nearest_M: Ints
    within_M: Floats
    target_M: Ints
    """Rows of the target prompts in the matrix."""

    @property
    def uncovered(self) -> float:
        """The share of target prompts that nothing in training covers."""
        return float((self.to_train_M < self.threshold).mean())

    def far_off(self) -> list[int]:
        """Places (in target order) of uncovered prompts, the farthest first."""
        order = np.argsort(self.to_train_M, kind="stable")
        return [int(place) for place in order if self.to_train_M[place] < self.threshold]


def cover(bag_NV: Any, target_N: Bools, group_N: Ints) -> Coverage:
    """Nearest neighbours of the target prompts. `bag_NV` is sparse, its rows of length 1."""
    rows_M, columns_K = np.flatnonzero(target_N), np.flatnonzero(~target_N)
    to_train, nearest, within = [], [], []
    for start in range(0, len(rows_M), _ROWS):
        rows = rows_M[start : start + _ROWS]
        alike = (bag_NV[rows] @ bag_NV[columns_K].T).toarray()
        nearest.append(columns_K[alike.argmax(axis=1)])
        to_train.append(alike.max(axis=1))
        alike = (bag_NV[rows] @ bag_NV[rows_M].T).toarray()
        alike[group_N[rows][:, None] == group_N[rows_M][None, :]] = -1.0
        within.append(alike.max(axis=1))
    within_M = np.concatenate(within)
    # To nine decimals: sums of products may differ in the last digit from machine to machine.
    threshold = round(float(np.quantile(within_M[within_M >= 0], FAR)), 9)
    return Coverage(
        threshold,
        np.round(np.concatenate(to_train), 9),
        np.concatenate(nearest),
        np.round(within_M, 9),
        rows_M,
    )
