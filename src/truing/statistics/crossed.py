"""Statistics of a table of scores (W wordings, Q questions) in which all were asked everything.

Wordings and questions are both samples: of what one might have said, and of what one might have
asked. The bootstrap redraws both, whole rows and whole columns, so that the hierarchy is kept: the
same drawn questions are asked under every drawn wording (Owen, 2007, The pigeonhole bootstrap, Annals
of Applied Statistics 1(2), section 3).

Means of wordings differ even where no wording matters, because questions are few: their variance is
var(wording) + var(wording x question) / Q. `deviation` is the root of the first term alone, by the
mean squares of a two-way table without replication (Searle, Casella and McCulloch, 1992, Variance
Components, section 4.5), 0 where the estimate of the variance is below 0. Its interval is BCa (Efron
and Tibshirani, 1993, chapter 14) with the acceleration from leaving out one wording at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from truing.statistics.means import CONFIDENCE, RESAMPLES, SEED, TAILS, within
from truing.types import Estimate

Floats = NDArray[np.float64]
_CHUNK = 2_000_000  # counts drawn at once: bounds memory at about 16 MB an array


@dataclass(frozen=True)
class Extreme:
    """The wording that is best (or worst) on these questions.

    `again`: the share of redrawn sets of questions on which it is so again. `elsewhere`: the mean on
    questions left out of a redrawn set, of the wording that is best (worst) on the set: what choosing
    this way is worth on questions that weren't chosen by. None where no question is ever left out.
    """

    place: int
    value: float
    again: float
    elsewhere: float | None


@dataclass(frozen=True)
class Spread:
    """How much scores depend on the wording. `mean` and `deviation` are for wordings like these.

    `seen` is the plain standard deviation of the wordings' means (divisor W - 1), question noise
    included.
    """

    mean: Estimate
    deviation: Estimate
    seen: float | None
    best: Extreme
    worst: Extreme


@dataclass(frozen=True)
class Order:
    """How often one candidate is above another, over wordings, from their differences (W, Q).

    `share`: of wordings under which the first is above. `differences`: for each wording, with
    simultaneous 95 % intervals: with that probability all W of them hold at once, so that one in
    twenty isn't called clear by chance. `difference` and `deviation` are those of a Spread.
    """

    share: Estimate
    difference: Estimate
    deviation: Estimate
    differences: tuple[Estimate, ...]


@dataclass(frozen=True)
class _Drawn:
    """One figure for each resample (R,), the wordings' means (R, W) and how often each was drawn."""

    means: Floats
    variances: Floats
    variant_means_RW: Floats
    counts_RW: Floats
    left_out_RW: Floats  # means over the questions that weren't drawn; NaN where all were


def _means_and_variances(
    scores_WQ: Floats, rows_RW: Floats, columns_RQ: Floats
) -> tuple[Floats, ...]:
    """Mean, variance of the wordings' means, and interaction mean square / Q, for counted tables."""
    W, Q = scores_WQ.shape
    variant_RW = columns_RQ @ scores_WQ.T / Q
    question_RQ = rows_RW @ scores_WQ / W
    mean = (rows_RW * variant_RW).sum(1) / W
    between = (rows_RW * (variant_RW - mean[:, None]) ** 2).sum(1) / (W - 1)
    squares = (
        ((rows_RW @ scores_WQ**2) * columns_RQ).sum(1)
        - Q * (rows_RW * variant_RW**2).sum(1)
        - W * (columns_RQ * question_RQ**2).sum(1)
        + W * Q * mean**2
    )
    return mean, between, np.maximum(squares, 0.0) / ((W - 1) * (Q - 1) * Q), variant_RW


def _variance(scores_WQ: Floats) -> float:
    """The variance of wordings, without that of their means which questions make. May be below 0."""
    W, Q = scores_WQ.shape
    _, between, noise, _ = _means_and_variances(scores_WQ, np.ones((1, W)), np.ones((1, Q)))
    return float(between[0] - noise[0])


def _chunks(shape: tuple[int, int], resamples: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """How often each wording (r, W) and each question (r, Q) is drawn, some resamples at a time."""
    at_once = max(1, _CHUNK // sum(shape))
    for start in range(0, resamples, at_once):
        yield _counts(shape, min(at_once, resamples - start), seed, start)


@lru_cache(maxsize=2)  # candidates and metrics of one sweep share their draws
def _counts(shape: tuple[int, int], size: int, seed: int, start: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng((seed, start))
    counts = [generator.multinomial(n, np.full(n, 1 / n), size).astype(np.float64) for n in shape]
    return counts[0], counts[1]


def _draw(scores_WQ: Floats, resamples: int, seed: int) -> _Drawn:
    W, Q = scores_WQ.shape
    parts = []
    for rows_RW, columns_RQ in _chunks((W, Q), resamples, seed):
        mean, between, noise, variant_RW = _means_and_variances(scores_WQ, rows_RW, columns_RQ)
        # In expectation a resample's variance is (W - 1) / W of the table's `between`.
        variance = (between - noise) * W / (W - 1)
        out_RQ = (columns_RQ == 0).astype(np.float64)
        with np.errstate(invalid="ignore"):
            left_out_RW = out_RQ @ scores_WQ.T / out_RQ.sum(1, keepdims=True)
        parts.append((mean, variance, variant_RW, rows_RW, left_out_RW))
    return _Drawn(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _deviation(scores_WQ: Floats, drawn: _Drawn) -> Estimate:
    """The standard deviation of wordings (ddof 1, question noise taken off) with its BCa interval."""
    W = len(scores_WQ)
    variance = _variance(scores_WQ)
    value = float(np.sqrt(max(variance, 0.0)))
    if W < 3:  # leaving one out leaves none to compare with
        return Estimate(value, None, None, W)
    # What is redrawn has the questions' noise twice: once from our questions, once from redrawing.
    _, between, _, _ = _means_and_variances(
        scores_WQ, np.ones((1, W)), np.ones((1, scores_WQ.shape[1]))
    )
    variances = drawn.variances - (float(between[0]) - variance)
    without = np.array([_variance(np.delete(scores_WQ, place, 0)) for place in range(W)])
    apart = without.mean() - without
    scale = float((apart**2).sum())
    if scale <= 0:
        return Estimate(value, value, value, W)
    acceleration = float((apart**3).sum()) / (6 * scale**1.5)
    below = np.clip((variances < variance).mean(), 1 / len(variances), 1 - 1 / len(variances))
    shift = ndtri(below)
    turned = shift + ndtri(TAILS)
    places = ndtr(shift + turned / (1 - acceleration * turned))
    low, high = np.sqrt(np.maximum(np.quantile(variances, places), 0.0))
    return Estimate(value, min(float(low), value), max(float(high), value), W)


def _extreme(scores_WQ: Floats, drawn: _Drawn, sign: int) -> Extreme:
    means = scores_WQ.mean(1)
    place = int((sign * means).argmax())
    chosen_R = (sign * drawn.variant_means_RW).argmax(1)
    elsewhere = drawn.left_out_RW[np.arange(len(chosen_R)), chosen_R]
    known = elsewhere[np.isfinite(elsewhere)]
    return Extreme(
        place,
        float(means[place]),
        float((chosen_R == place).mean()),
        float(known.mean()) if known.size else None,
    )


def _checked(scores_WQ: Floats) -> None:
    if scores_WQ.ndim != 2 or min(scores_WQ.shape) < 2:
        raise ValueError("give at least two wordings and two questions")
    if not np.isfinite(scores_WQ).all():
        raise ValueError("a score that isn't finite can't be averaged; leave its question out")


def spread(
    scores_WQ: Floats, *, unscored: int = 0, resamples: int = RESAMPLES, seed: int = SEED
) -> Spread:
    """How much the mean score depends on the wording. Of equally good wordings the first is best.

    Raises ValueError for fewer than two wordings or questions, or a score that isn't finite.
    """
    _checked(scores_WQ)
    drawn = _draw(scores_WQ, resamples, seed)
    return Spread(
        within(float(scores_WQ.mean()), drawn.means, scores_WQ.shape[1], unscored),
        _deviation(scores_WQ, drawn),
        float(scores_WQ.mean(1).std(ddof=1)),
        _extreme(scores_WQ, drawn, 1),
        _extreme(scores_WQ, drawn, -1),
    )


def order(
    ours_WQ: Floats,
    theirs_WQ: Floats,
    *,
    unscored: int = 0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Order:
    """Whether `ours` is above `theirs` under every wording, question by question paired.

    Simultaneous intervals by the bootstrap of the greatest studentised deviation, over questions
    (Romano and Wolf, 2005, Econometrica 73(4)). Raises ValueError as `spread` does.
    """
    differences_WQ = ours_WQ - theirs_WQ
    _checked(differences_WQ)
    W, Q = differences_WQ.shape
    drawn = _draw(differences_WQ, resamples, seed)
    value_W = differences_WQ.mean(1)
    apart_RW = drawn.variant_means_RW - value_W
    error_W = apart_RW.std(0)
    moves = error_W > 1e-12
    greatest = np.abs(apart_RW[:, moves] / error_W[moves]).max(1, initial=0.0)
    reach_W = float(np.quantile(greatest, CONFIDENCE)) * error_W
    above = (drawn.counts_RW * (drawn.variant_means_RW > 0)).sum(1) / W
    return Order(
        within(float((value_W > 0).mean()), above, W, 0),
        within(float(differences_WQ.mean()), drawn.means, Q, unscored),
        _deviation(differences_WQ, drawn),
        tuple(
            Estimate(float(v), float(v - r), float(v + r), Q, unscored)
            for v, r in zip(value_W, reach_W, strict=True)
        ),
    )
