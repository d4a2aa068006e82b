"""Made-up tables of wordings by questions, and whether an interval covers the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from truing.types import Estimate

Floats = NDArray[np.float64]


def table(
    rng: np.random.Generator, shape: tuple[int, int], wording: float, question: float, both: float
) -> Floats:
    """Scores around 0.4 with three known variance components."""
    W, Q = shape
    return (  # type: ignore[no-any-return]
        0.4
        + rng.normal(0, wording, (W, 1))
        + rng.normal(0, question, (1, Q))
        + rng.normal(0, both, shape)
    )


def covers(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None and estimate.high is not None and estimate.value is not None
    assert estimate.low <= estimate.value <= estimate.high
    return estimate.low <= truth <= estimate.high
