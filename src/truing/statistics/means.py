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

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from truing.types import Estimate, Row, Score, Unscored

CONFIDENCE = 0.95
RESAMPLES = 2000
SEED = 20_260_101
"""Every interval is drawn from a generator freshly seeded with this: equal data, equal interval."""

TAILS = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
"""The quantiles between which an interval lies."""

_CHUNK = 4_000_000
"""Indices drawn at once: bounds memory at about 64 MB whatever the number of questions."""


def _bootstrap_means(
    values_SN: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Means (S, resamples) of S samples, all redrawn N at a time with the same draws."""
    generator = np.random.default_rng(seed)
    samples, n = values_SN.shape
    rows = max(1, _CHUNK // n)
    means = np.empty((samples, resamples))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        drawn = generator.integers(0, n, (stop - start, n))
        for place, values in enumerate(values_SN):
            means[place, start:stop] = values[drawn].mean(axis=1)
    return means


def mean(
    values: Sequence[float], *, unscored: int = 0, resamples: int = RESAMPLES, seed: int = SEED
) -> Estimate:
    """The mean of one value per question with its 95 % percentile interval.

    `unscored` is carried along: how many were left out. Raises ValueError where a value isn't
    finite: an undefined score is left out and counted, never averaged.
    """
    (found,) = means([values], resamples=resamples, seed=seed)
    return replace(found, unscored=unscored)


def means(
    samples: Sequence[Sequence[float]], *, resamples: int = RESAMPLES, seed: int = SEED
) -> list[Estimate]:
    """`mean` of each of many samples; those of one size share their draws, which takes less time.

    Raises ValueError where a value isn't finite.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for place, values in enumerate(samples):
        places[len(values)].append(place)
    found: dict[int, Estimate] = {}
    for alike in places.values():
        values_SN = np.array([samples[place] for place in alike], dtype=np.float64)
        found |= zip(alike, _means_of_one_size(values_SN, resamples, seed), strict=True)
    return [found[place] for place in range(len(samples))]


def _means_of_one_size(values_SN: NDArray[np.float64], resamples: int, seed: int) -> list[Estimate]:
    if not np.isfinite(values_SN).all():
        raise ValueError("a score that isn't finite can't be averaged; leave it out and count it")
    samples, n = values_SN.shape
    if n == 0:
        return [Estimate(None, None, None, 0)] * samples
    middles = values_SN.mean(axis=1).tolist()
    if n == 1:
        return [Estimate(value, None, None, 1) for value in middles]
    redrawn = _bootstrap_means(values_SN, resamples, seed)
    bounds = np.quantile(redrawn, TAILS, axis=1).T.tolist()
    # Rounding in the sums can put the bounds a hair inside or outside a value that never varies.
    return [
        Estimate(value, min(low, value), max(high, value), n)
        for value, (low, high) in zip(middles, bounds, strict=True)
    ]


def within(value: float, redrawn: NDArray[np.float64], n: int, unscored: int = 0) -> Estimate:
    """A figure with the 95 % percentile interval of its resamples (R,), which never leaves it out."""
    low, high = np.quantile(redrawn, TAILS).tolist()
    return Estimate(value, min(low, value), max(high, value), n, unscored)


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
    """Mean and interval of each metric over the rows that have it."""
    metrics = dict.fromkeys(metric for row in rows for metric in row.metrics)
    return {
        metric: _scored_mean([r.metrics[metric] for r in rows if metric in r.metrics], seed)
        for metric in metrics
    }


def _scored_mean(scores: Sequence[Score], seed: int) -> Estimate:
    values = [score for score in scores if not isinstance(score, Unscored)]
    return mean(values, unscored=len(scores) - len(values), seed=seed)
