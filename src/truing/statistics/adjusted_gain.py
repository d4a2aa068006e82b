"""A paired gain without what goes along with other differences of the same pairs.

    gain_i = alpha + sum_f beta_f (feature difference)_if + error_i

over questions, by least squares: alpha is the gain expected of a question on which no feature changed
(analysis of covariance on change scores). Questions are redrawn and all is fitted again, so the interval
also has the uncertainty of the betas. Where a feature changed alike on every question, nothing tells its
effect from the gain, and there is no figure: that is a result too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from truing.statistics.means import RESAMPLES, SEED, within
from truing.types import Estimate, Unscored

Floats = NDArray[np.float64]
QUESTIONS_EACH = 5
"""So many questions a parameter at least: fewer fit whatever is there."""
_SINGULAR = 1e-8


def adjusted_gain(
    gains: Mapping[str, float],
    features: Mapping[str, Mapping[str, float]],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate | Unscored:
    """The gain where no feature changed, with its 95 % interval.

    `features[question][name]` are differences, as `gains[question]` is. Features that changed nowhere play
    no part: without any, it is the mean gain. Unscored where the questions can't tell.
    """
    both = sorted(gains.keys() & features.keys())
    names = sorted({name for question in both for name in features[question]})
    columns = {
        name: np.array([features[q].get(name, 0.0) for q in both], dtype=np.float64)
        for name in names
    }
    moving = {name: column for name, column in columns.items() if np.any(column != 0)}
    if len(both) < max(2, QUESTIONS_EACH * (1 + len(moving))):
        return Unscored(f"{len(both)} questions are too few to adjust for {len(moving)} features")
    for name, column in moving.items():
        if np.ptp(column) <= _SINGULAR * np.abs(column).max():
            return Unscored(f"{name} changed alike on every question")
    design_NF = np.stack([np.ones(len(both)), *(_scaled(each) for each in moving.values())], 1)
    if _is_told_by_others(design_NF):
        return Unscored("the features together changed alike on every question")
    return _fitted(design_NF, np.array([gains[q] for q in both]), resamples, seed)


def _is_told_by_others(design_NF: Floats) -> bool:
    """Whether the first column is a sum of multiples of the others. Those may be so among themselves."""
    first_N, others_NF = design_NF[:, 0], design_NF[:, 1:]
    if others_NF.shape[1] == 0:
        return False
    solution = np.linalg.lstsq(others_NF, first_N, rcond=_SINGULAR)[0]
    return bool(np.abs(first_N - others_NF @ solution).max() < _SINGULAR)


def _scaled(column: Floats) -> Floats:
    """In units of its own size, so that lengths and shares are solved for alike."""
    scaled: Floats = column / np.abs(column).max()
    return scaled


def _fitted(design_NF: Floats, gain_N: Floats, resamples: int, seed: int) -> Estimate:
    count = len(gain_N)
    generator = np.random.default_rng(seed)
    weight_RN = generator.multinomial(count, np.full(count, 1 / count), resamples).astype(float)
    value = float(_intercepts(design_NF, gain_N, np.ones((1, count)))[0])
    return within(value, _intercepts(design_NF, gain_N, weight_RN), count)


def _intercepts(design_NF: Floats, gain_N: Floats, weight_RN: Floats) -> Floats:
    """(R,) the intercept under each row of weights; the shortest solution where a redraw is singular."""
    gram_RFF = np.einsum("rn,nf,ng->rfg", weight_RN, design_NF, design_NF, optimize=True)
    product_RF = np.einsum("rn,nf,n->rf", weight_RN, design_NF, gain_N, optimize=True)
    inverse_RFF = np.linalg.pinv(gram_RFF, rcond=_SINGULAR, hermitian=True)
    intercept_R: Floats = np.einsum("rg,rg->r", inverse_RFF[:, 0], product_RF)
    return intercept_R
