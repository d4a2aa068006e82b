"""How far apart two distributions over the options of a question are, and how spread out one is.

Representativeness is 1 - the Wasserstein distance between them on the declared scale, over the scale's
length (Santurkar et al., 2023, Whose opinions do language models reflect?, section 3.2): 1 where they are
identical, 0 where all of one stands at one end and all of the other at the other. With equal steps it is
1 - sum |CDF difference| / (K - 1). All functions take any number of leading axes, the last (K,) is of
options; leading axes broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def representativeness(p: ArrayLike, q: ArrayLike, scale: Sequence[float]) -> Floats:
    """1 - normalised Wasserstein-1 distance over the options' positions, whatever order they stand in.

    Raises ValueError where a distribution isn't one, or the scale isn't as long as they are or has
    a single position.
    """
    p_K, q_K = _distributions(p), _distributions(q)
    positions = np.asarray(scale, dtype=np.float64)
    if positions.shape != (p_K.shape[-1],) or not np.isfinite(positions).all():
        raise ValueError(f"give a finite position for each of {p_K.shape[-1]} options")
    order = np.argsort(positions, kind="stable")
    steps = np.diff(positions[order])
    length = positions[order[-1]] - positions[order[0]]
    if length <= 0:
        raise ValueError("a scale on which all options have one position has no distances")
    apart = np.abs(np.cumsum((p_K - q_K)[..., order], axis=-1)[..., :-1])
    return np.asarray(1.0 - (apart * steps).sum(-1) / length)


def jensen_shannon_similarity(p: ArrayLike, q: ArrayLike, base: float = 2.0) -> Floats:
    """1 - Jensen-Shannon distance, the root of the divergence in logarithms to `base`.

    With base 2 it is 0 where no option has a share in both.
    """
    p_K, q_K = np.broadcast_arrays(_distributions(p), _distributions(q))
    middle = (p_K + q_K) / 2
    divergence = (_relative_entropy(p_K, middle) + _relative_entropy(q_K, middle)) / 2
    return np.asarray(1.0 - np.sqrt(np.maximum(divergence, 0.0) / np.log(base)))


def total_variation(p: ArrayLike, q: ArrayLike) -> Floats:
    """Half the sum of absolute differences: the share that would have to choose otherwise."""
    return np.asarray(np.abs(_distributions(p) - _distributions(q)).sum(-1) / 2)


def entropy(p: ArrayLike) -> Floats:
    """Shannon entropy in nats; log K where all options have one share."""
    p_K = _distributions(p)
    return np.asarray(-(p_K * np.log(np.where(p_K > 0, p_K, 1.0))).sum(-1))


def modal_share(p: ArrayLike) -> Floats:
    """The share of the option that most choose."""
    return np.asarray(_distributions(p).max(-1))


def _relative_entropy(p_K: Floats, q_K: Floats) -> Floats:
    there = p_K > 0
    ratio = np.divide(p_K, q_K, out=np.ones_like(p_K), where=there)
    return np.asarray((p_K * np.log(ratio)).sum(-1))


def _distributions(values: ArrayLike) -> Floats:
    shares = np.asarray(values, dtype=np.float64)
    if shares.ndim == 0 or shares.shape[-1] < 2:
        raise ValueError("a distribution over options has two shares or more")
    if not (np.isfinite(shares).all() and (shares >= 0).all()):
        raise ValueError("a share that is negative or not finite")
    if (np.abs(shares.sum(-1) - 1.0) > 1e-6).any():
        raise ValueError("shares that don't sum to 1")
    return shares
