"""How far apart the two sides lie as clouds of points: maximum mean discrepancy.

Gretton et al. (2012), "A kernel two-sample test": the unbiased MMD^2 with a Gaussian kernel whose width
is the median distance, and a permutation test. Prompts of one group are moved together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist, squareform
from sklearn.decomposition import TruncatedSVD

from truing.shift.grouping import Bools, Ints

Floats = NDArray[np.float64]
PERMUTATIONS = 499
DIMENSIONS = 100
_MOST = 1000
"""Prompts of a side that are compared pair by pair."""


@dataclass(frozen=True)
class Distance:
    """The unbiased MMD^2 (it may be just below 0), and how often chance alone gives as much."""

    mmd2: float
    p_value: float
    prompts: int

    def to_json(self) -> dict[str, float | int]:
        """Figures to six decimals."""
        return {
            "mmd2": round(self.mmd2, 6),
            "p_value": round(self.p_value, 6),
            "prompts": self.prompts,
            "permutations": PERMUTATIONS,
        }


def embed(matrix_NV: Any, seed: int) -> Floats:
    """Points (N, at most 100) of length 1: latent semantic analysis of a sparse matrix of words."""
    most = min(DIMENSIONS, min(matrix_NV.shape) - 1)
    if most < 1:
        return np.zeros((matrix_NV.shape[0], 1))
    points_NE = TruncatedSVD(most, random_state=seed).fit_transform(matrix_NV)
    length_N = np.linalg.norm(points_NE, axis=1, keepdims=True)
    return np.asarray(points_NE / np.where(length_N > 0, length_N, 1))


def plane(points_NE: Floats) -> Floats:
    """The two directions (N, 2) in which the points vary most; signs fixed by the farthest point."""
    centred_NE = points_NE - points_NE.mean(axis=0)
    if centred_NE.shape[1] < 2:
        centred_NE = np.hstack([centred_NE, np.zeros((len(centred_NE), 1))])
    _, _, axes = np.linalg.svd(centred_NE, full_matrices=False)
    flat_N2 = centred_NE @ axes[:2].T
    farthest = flat_N2[np.abs(flat_N2).argmax(axis=0), [0, 1]]
    return np.asarray(flat_N2 * np.where(farthest < 0, -1.0, 1.0))


def _kernel(points_NE: Floats) -> Floats:
    """Similarities (N, N) with a zero diagonal."""
    squares = pdist(points_NE, "sqeuclidean")
    width = float(np.median(squares)) or 1.0
    return np.asarray(squareform(np.exp(-squares / width)))


def _mmd2(kernel_NN: Floats, target_NP: Floats) -> Floats:
    """Unbiased MMD^2 (P,) for each of P ways (N, P) to be a target prompt (1) or a training one (0)."""
    other_NP = 1 - target_NP
    m_P, n_P = target_NP.sum(axis=0), other_NP.sum(axis=0)
    to_target_NP = kernel_NN @ target_NP
    to_other_NP = kernel_NN.sum(axis=1, keepdims=True) - to_target_NP
    within_target = (to_target_NP * target_NP).sum(axis=0) / (m_P * (m_P - 1))
    within_other = (to_other_NP * other_NP).sum(axis=0) / (n_P * (n_P - 1))
    between = (to_target_NP * other_NP).sum(axis=0) / (m_P * n_P)
    return np.asarray(within_target + within_other - 2 * between)


def _shuffled(part_N: Ints, target: int, generator: np.random.Generator) -> Floats:
    """Sides (N,) drawn anew: whole parts in random order become targets until there are enough."""
    sizes = np.bincount(part_N)
    order = generator.permutation(len(sizes))
    before = np.concatenate([[0], np.cumsum(sizes[order])[:-1]])
    chosen = np.zeros(len(sizes))
    # A part that would overshoot by more than it fills stays on the other side.
    chosen[order[before + sizes[order] / 2 <= target]] = 1
    return np.asarray(chosen[part_N])


def mmd(points_NE: Floats, target_N: Bools, group_N: Ints, seed: int) -> Distance:
    """The distance between the sides, at most 1000 prompts of each, drawn by the seed."""
    generator = np.random.default_rng(seed)
    sampled = np.sort(
        np.concatenate(
            [generator.permutation(np.flatnonzero(side))[:_MOST] for side in (target_N, ~target_N)]
        )
    )
    points_NE, target_N, group_N = points_NE[sampled], target_N[sampled], group_N[sampled]
    kernel_NN = _kernel(points_NE)
    squared = float(_mmd2(kernel_NN, target_N[:, None].astype(np.float64))[0])
    # A group with prompts on both sides is two parts: it is what was drawn for each side.
    part_N = np.unique(np.stack([group_N, target_N]), axis=1, return_inverse=True)[1].ravel()
    drawn = [_shuffled(part_N, int(target_N.sum()), generator) for _ in range(PERMUTATIONS)]
    usable = np.stack([d for d in drawn if 2 <= d.sum() <= len(d) - 2], axis=1)
    as_far = int((_mmd2(kernel_NN, usable) >= squared - 1e-12).sum())
    return Distance(squared, (1 + as_far) / (1 + usable.shape[1]), len(sampled))
