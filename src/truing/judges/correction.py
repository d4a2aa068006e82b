"""A share that judges have estimated, corrected for the error they make on answers with known labels.

A judge's mean score m over a candidate's answers mixes what it says of good answers and of bad ones:

    m = share * mu1 + (1 - share) * mu0,    so    share = (m - mu0) / (mu1 - mu0),

where mu1 and mu0 are its mean scores on labelled answers that are good and bad, none of which it learned
from. With verdicts of 0 and 1 these are sensitivity and 1 - specificity, and this is the estimator of
Rogan and Gladen (American Journal of Epidemiology 107, 1978); with probabilities it is the scaled
probability average of Bella et al. (ICDM 2010). It takes for granted that the judge errs on the candidate's
answers, good and bad, as it does on the labelled ones; not that as many are good.

The interval is a percentile bootstrap over both: the questions asked, and the questions whose labelled
answers mu1 and mu0 are from. Answers whose grade is certain aren't corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.statistics.means import CONFIDENCE, RESAMPLES, SEED
from truing.types import Estimate

LEAST_DIFFERENCE = 0.05
"""Between mu1 and mu0: a judge that tells good from bad by less corrects nothing."""
_AT_ONCE = 1_000_000  # indices drawn at once: bounds memory at about 40 MB


@dataclass(frozen=True)
class Calibration:
    """What a judge says of labelled answers that it hasn't learned from.

    `score` and `label` (0 or 1) are (N,); `question` (N,) numbers the questions, which are what is
    resampled: answers to one question aren't independent.
    """

    score: NDArray[np.floating[Any]]
    label: NDArray[np.int64]
    question: NDArray[np.int64]

    def sums(self) -> NDArray[np.float64]:
        """(questions, 4): for each question the good answers' scores and number, and the bad ones'."""
        good = self.label == 1
        parts = (self.score * good, good, self.score * ~good, ~good)
        _, place = np.unique(self.question, return_inverse=True)
        return np.stack([np.bincount(place, part.astype(float)) for part in parts], axis=1)


@dataclass(frozen=True)
class Judged:
    """A candidate's grades: `score` of the judge, or `certain` (0 or 1) where no judge is needed."""

    score: Sequence[float]
    certain: Sequence[float] = ()


def corrected_mean(
    judged: Judged,
    calibration: Calibration,
    *,
    unscored: int = 0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The corrected share of good answers with its 95 % interval; both within [0, 1].

    Without an answer, or where the judge can't tell good from bad, it is undefined (None), and what
    can't be corrected counts as unscored.
    """
    n = len(judged.score) + len(judged.certain)
    sums = calibration.sums()
    if n == 0:
        return Estimate(None, None, None, 0, unscored)
    # (n, 3): an answer's certain value, its judged score, whether it was judged.
    answers = np.zeros((n, 3))
    answers[: len(judged.score), 1:] = np.stack(
        [np.asarray(judged.score, dtype=float), np.ones(len(judged.score))], axis=1
    )
    answers[len(judged.score) :, 0] = judged.certain
    value = float(_share(answers.sum(0), sums.sum(0), n))
    good, bad = _means(sums.sum(0))
    if judged.score and not good - bad > LEAST_DIFFERENCE:
        return Estimate(None, None, None, 0, unscored + n)
    if n == 1:
        return Estimate(value, None, None, 1, unscored)
    generator = np.random.default_rng(seed)
    drawn = _share(
        _resampled(answers, resamples, generator), _resampled(sums, resamples, generator), n
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value), n, unscored)


def corrected_difference(
    ours: Mapping[str, Judged],
    theirs: Mapping[str, Judged],
    calibration: Calibration,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The difference of two corrected shares over the cases that both have, with its 95 % interval: cases
    are redrawn in pairs, and both sides are corrected by the same redrawn labels. A case's answers count
    equally. Undefined (None) as `corrected_mean` is."""
    cases = [case for case in ours if case in theirs]
    sums, n = calibration.sums(), len(cases)
    good, bad = _means(sums.sum(0))
    needed = any(each.score for case in cases for each in (ours[case], theirs[case]))
    if n == 0 or (needed and not good - bad > LEAST_DIFFERENCE):
        return Estimate(None, None, None, 0, n)
    # (n, 6): the three of `corrected_mean` for each side.
    pairs = np.array([[*_parts(ours[case]), *_parts(theirs[case])] for case in cases])

    def apart(answers: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
        return _share(answers[..., :3], labels, n) - _share(answers[..., 3:], labels, n)

    value = float(apart(pairs.sum(0), sums.sum(0)))
    if n == 1:
        return Estimate(value, None, None, 1, 0)
    generator = np.random.default_rng(seed)
    drawn = apart(_resampled(pairs, resamples, generator), _resampled(sums, resamples, generator))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.nanquantile(drawn, [tail, 1 - tail])
    return Estimate(value, min(float(low), value), max(float(high), value), n, 0)


def _parts(judged: Judged) -> tuple[float, float, float]:
    """One case's certain value, judged score and share that was judged, means over its answers."""
    count = len(judged.score) + len(judged.certain)
    return sum(judged.certain) / count, sum(judged.score) / count, len(judged.score) / count


def _means(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """mu1 and mu0 (...,) from sums (..., 4). NaN where a side has no labelled answer."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1], sums[..., 2] / sums[..., 3]


def _share(answers: NDArray[np.float64], sums: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Shares (...,) from sums (..., 3) over answers and (..., 4) over labelled ones."""
    good, bad = _means(sums)
    certain, score, judged = answers[..., 0], answers[..., 1], answers[..., 2]
    # A resample in which the judge tells nothing is cut to 0 or 1: it widens the interval.
    between = np.maximum(good - bad, 1e-9)
    with np.errstate(invalid="ignore"):
        share = np.clip((score / judged - bad) / between, 0.0, 1.0)
    return (certain + np.where(judged > 0, share * judged, 0.0)) / n


def _resampled(
    rows: NDArray[np.float64], resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Sums (resamples, K) of rows (n, K) redrawn n at a time with replacement; of none, zeros."""
    n = len(rows)
    if n == 0:
        return np.zeros((resamples, rows.shape[1]))
    found = np.empty((resamples, rows.shape[1]))
    together = max(1, _AT_ONCE // max(1, n))
    for start in range(0, resamples, together):
        stop = min(start + together, resamples)
        found[start:stop] = rows[generator.integers(0, n, (stop - start, n))].sum(axis=1)
    return found
