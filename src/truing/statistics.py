"""Means with their uncertainty: the percentile bootstrap over questions.

A question is the unit that is resampled: answers to one question are not independent of each
other, and what a reader wants to know is how the figure would change with other questions.
Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

Degenerate cases, decided once, here:

- no question scored: value, low and high are None;
- one question scored: the value is given, low and high are None. Resampling a lone question can
  only give it back, and an interval of width zero would claim a certainty that is not there;
- all questions alike (say, no attack of 40 succeeded): low = value = high. That is what the
  percentile bootstrap says; it can't see what the sample has never shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from truing.types import Estimate, Row, Score, Unscored

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 20_260_101
"""Every interval is drawn from a generator freshly seeded with this: equal data, equal interval."""

_CHUNK = 4_000_000
"""Indices drawn at once: bounds memory at about 64 MB whatever the number of questions."""


def bootstrap_means(
    values: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """Means (resamples,) of `values` (n,) redrawn n at a time with replacement."""
    generator = np.random.default_rng(seed)
    n = len(values)
    rows = max(1, _CHUNK // max(1, n))
    means = np.empty(resamples)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = values[generator.integers(0, n, (stop - start, n))].mean(axis=1)
    return means


def mean(
    values: Sequence[float], *, unscored: int = 0, resamples: int = RESAMPLES, seed: int = SEED
) -> Estimate:
    """The mean of one value per question with its 95 % percentile interval.

    `unscored` is carried along: how many were left out. Raises ValueError where a value isn't
    finite: an undefined score is left out and counted, never averaged.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError("a score that isn't finite can't be averaged; leave it out and count it")
    if array.size == 0:
        return Estimate(None, None, None, 0, unscored)
    value = float(array.mean())
    if array.size == 1:
        return Estimate(value, None, None, 1, unscored)
    tail = (1 - CONFIDENCE) / 2
    means = bootstrap_means(array, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [tail, 1 - tail])
    # Rounding in the sums can put the bounds a hair inside or outside a value that never varies.
    return Estimate(value, min(float(low), value), max(float(high), value), array.size, unscored)


def paired_difference(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The mean of `ours` - `theirs` over the questions scored on both sides, with its interval.

    Questions are resampled with both their scores, so that what makes a question easy or hard for
    both cancels. `unscored` counts the questions scored on one side only.
    """
    both = sorted(ours.keys() & theirs.keys())
    one_side = len(ours.keys() | theirs.keys()) - len(both)
    differences = [ours[question] - theirs[question] for question in both]
    return mean(differences, unscored=one_side, resamples=resamples, seed=seed)


def summary(rows: Sequence[Row], seed: int) -> dict[str, Estimate]:
    """Mean and interval of each metric over rows that all have the same metrics."""
    return {
        metric: _scored_mean([row.metrics[metric] for row in rows], seed)
        for metric in rows[0].metrics
    }


def _scored_mean(scores: Sequence[Score], seed: int) -> Estimate:
    values = [score for score in scores if not isinstance(score, Unscored)]
    return mean(values, unscored=len(scores) - len(values), seed=seed)
