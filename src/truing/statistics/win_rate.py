"""How often one model's answers are preferred to another's, if both were of the same length.

Judges like longer answers. Dubois et al. (2024), "Length-Controlled AlpacaEval", equation 1: the
preference is a logistic regression, here on

    logit p(win) = theta + phi * tanh(difference in length / its standard deviation)

and the length-controlled win rate is what is left where the second term is 0 (equation 2).

Departures from the paper:

- no term for how hard an instruction is: it is learned from many models' answers, and here are two.
  What is left of the mean over instructions is then one number, logistic(theta);
- the weights are held by a fixed small ridge, not by one chosen in cross-validation;
- the interval is the percentile bootstrap over cases, as everywhere here; the standard deviation is
  that of all cases in each resample.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from truing.statistics.means import RESAMPLES, SEED, within
from truing.types import Estimate

RIDGE = 0.01
"""Holds the weights where all cases were won, or where length alone decides; else it is not felt."""

_STEPS, _HALVINGS, _DONE = 60, 12, 1e-8

Array = NDArray[np.float64]


def _losses(weights_RK: Array, features_NK: Array, wins_N: Array, counts_RN: Array) -> Array:
    logits_RN = weights_RK @ features_NK.T
    costs_RN = np.logaddexp(0, logits_RN) - wins_N * logits_RN
    penalties_R = RIDGE / 2 * (weights_RK**2).sum(axis=1)
    return np.asarray((counts_RN * costs_RN).sum(axis=1) + penalties_R)


def _newton_steps(weights_RK: Array, features_NK: Array, wins_N: Array, counts_RN: Array) -> Array:
    chances_RN = 1 / (1 + np.exp(-(weights_RK @ features_NK.T)))
    gradients_RK = (counts_RN * (chances_RN - wins_N)) @ features_NK + RIDGE * weights_RK
    curvatures_RN = counts_RN * chances_RN * (1 - chances_RN)
    hessians_RKK = np.einsum("rn,nk,nj->rkj", curvatures_RN, features_NK, features_NK)
    hessians_RKK += RIDGE * np.eye(features_NK.shape[1])
    return -np.linalg.solve(hessians_RKK, gradients_RK[..., None])[..., 0]


def _fitted(features_NK: Array, wins_N: Array, counts_RN: Array) -> Array:
    """(R, K) weights of the logistic regressions in which case n counts `counts_RN[r, n]` times."""
    weights_RK = np.zeros((len(counts_RN), features_NK.shape[1]))
    losses_R = _losses(weights_RK, features_NK, wins_N, counts_RN)
    for _ in range(_STEPS):
        steps_RK = _newton_steps(weights_RK, features_NK, wins_N, counts_RN)
        for _ in range(_HALVINGS):  # a whole step can overshoot where a side is never lost
            tried_R = _losses(weights_RK + steps_RK, features_NK, wins_N, counts_RN)
            worse_R = tried_R > losses_R
            if not worse_R.any():
                break
            steps_RK[worse_R] /= 2
        steps_RK[worse_R] = 0
        weights_RK = weights_RK + steps_RK
        losses_R = np.where(worse_R, losses_R, tried_R)
        if np.abs(steps_RK).max() < _DONE:
            break
    return weights_RK


def _features(length_differences_N: Array) -> Array | None:
    """(N, 2): 1 and the squashed length difference; None where length can't be told from winning."""
    deviation = float(length_differences_N.std())
    if deviation > 0:
        lengths_N = np.tanh(length_differences_N / deviation)
    elif not length_differences_N.any():
        lengths_N = length_differences_N
    else:
        return None
    return np.stack([np.ones_like(lengths_N), lengths_N], axis=1)


def length_controlled_win_rate(
    wins: Sequence[float],
    length_differences: Sequence[float],
    *,
    unscored: int = 0,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The share of cases that would be won at equal lengths, with its 95 % interval.

    `wins` has 1 for a win, 0 for a loss, 0.5 for a tie (or a judge's probability);
    `length_differences` ours minus theirs. The value is None where there is no case, or where one
    side is longer by the same amount everywhere; one case has no interval. `unscored` is carried along.
    Raises ValueError where a win is no share, or the two are of different sizes.
    """
    wins_N = np.asarray(wins, dtype=np.float64)
    differences_N = np.asarray(length_differences, dtype=np.float64)
    if wins_N.shape != differences_N.shape or not np.isfinite(differences_N).all():
        raise ValueError("each win needs one finite length difference")
    if not ((wins_N >= 0) & (wins_N <= 1)).all():
        raise ValueError("a win is a share between 0 and 1")
    n = len(wins_N)
    features_NK = _features(differences_N) if n else None
    if features_NK is None:
        return Estimate(None, None, None, 0, unscored + n)
    value = float(_win_rates(features_NK, wins_N, np.ones((1, n)))[0])
    if n == 1:
        return Estimate(value, None, None, 1, unscored)
    counts_RN = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples)
    rates_R = _win_rates(features_NK, wins_N, counts_RN.astype(np.float64))
    return within(value, rates_R, n, unscored)


def _win_rates(features_NK: Array, wins_N: Array, counts_RN: Array) -> Array:
    theta_R = _fitted(features_NK, wins_N, counts_RN)[:, 0]
    return np.asarray(1 / (1 + np.exp(-theta_R)))
