"""Whether stated probabilities are the frequencies with which things happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """What was stated on average and what was observed, in one bin, and the bin's weight."""

    stated: float
    observed: float
    weight: float


def reliability(
    probability_N: Floats,
    outcome_N: NDArray[Any],
    weight_N: Floats | None = None,
    bins: int = BINS,
) -> list[Bin]:
    """The bins of equal width that hold anything, in order. An outcome is 1, 0, or a share of the two."""
    weight = np.ones(len(probability_N)) if weight_N is None else weight_N
    place = np.minimum((probability_N * bins).astype(int), bins - 1)
    result = []
    for b in range(bins):
        own = place == b
        size = float(weight[own].sum())
        if size > 0:
            stated, observed = (float(weight[own] @ x[own]) for x in (probability_N, outcome_N))
            result.append(Bin(stated / size, observed / size, size))
    return result


def calibration_error(
    probability_N: Floats,
    outcome_N: NDArray[Any],
    weight_N: Floats | None = None,
    bins: int = BINS,
) -> float:
    """Mean distance between stated probability and observed frequency, weighted by bin size (Naeini,
    Cooper and Hauskrecht, 2015, AAAI, equation 2)."""
    parts = reliability(probability_N, outcome_N, weight_N, bins)
    total = sum(part.weight for part in parts)
    return float(sum(part.weight * abs(part.stated - part.observed) for part in parts) / total)


def both_ways(
    probability_N: Floats, outcome_N: Floats, weight_N: Floats
) -> tuple[Floats, Floats, Floats]:
    """Comparisons with each pair told once from either answer: which one stands first says nothing then."""
    return (
        np.concatenate([probability_N, 1 - probability_N]),
        np.concatenate([outcome_N, 1 - outcome_N]),
        np.concatenate([weight_N, weight_N]),
    )
