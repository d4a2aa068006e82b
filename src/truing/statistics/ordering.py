"""How often scores put in order what somebody rated apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """N things with a score and a rating each, in the order of scores: where each stands (`place`), which
    rating it has (`level`), and how many have a lower score (`below`), or one that isn't higher
    (`within`)."""

    place: NDArray[np.int64]
    level: NDArray[np.int64]
    below: NDArray[np.int64]
    within: NDArray[np.int64]

    @staticmethod
    def of(score_N: Floats, rating_N: NDArray[Any]) -> Order:
        """The order of these."""
        place = np.argsort(score_N, kind="stable")
        ordered = score_N[place]
        level = np.unique(rating_N, return_inverse=True)[1][place]
        below, within = (
            np.searchsorted(ordered, ordered, side) for side in ("left", "right")
        )  # fmt: skip
        return Order(place, level, below, within)

    def pairs(self, weight_N: Floats) -> tuple[float, float]:
        """Of every two that are rated apart, the weight of those in which the higher rated one has the
        higher score (half of those with equal scores), and the weight of all; a pair weighs the product
        of its two."""
        weight = weight_N[self.place]
        of_level = np.zeros((len(weight) + 1, int(self.level.max()) + 2))
        of_level[np.arange(1, len(weight) + 1), self.level + 1] = weight
        rated_lower = of_level.cumsum(0).cumsum(1)
        beaten = (rated_lower[self.below, self.level] + rated_lower[self.within, self.level]) / 2
        return float(weight @ beaten), float(weight @ rated_lower[-1, self.level])
