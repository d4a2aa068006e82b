"""Weights and selections of training prompts that bring them nearer to the target, and what they do.

Half of the target (whole groups) is for choosing, the other half for measuring: a selection that was made
to look like some prompts would look better on them than it is. The density ratio comes from a classifier
that didn't see the prompt it weighs: Sugiyama, Suzuki and Kanamori (2012), "Density ratio estimation in
machine learning", section 4. Selection draws without replacement in proportion to it (Gumbel top-k), as
Xie et al. (2023), "Data selection for language models via importance resampling".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.progress import Advance
from truing.shift.grouping import Bools, Ints, make_folds
from truing.shift.two_sample import Auc, auc_with_interval, cross_fitted, noise_share
from truing.types import InputError, Unscored

Floats = NDArray[np.float64]
LARGEST = 20.0
"""No training prompt weighs more than so many average ones."""
FEWEST = 20


@dataclass(frozen=True)
class Remedy:
    """Weights of the training prompts (their mean is 1) and what they, or a selection, change.

    `before`, `weighted` and `selected_auc` compare with the half of the target that chose nothing; where
    that can't be measured, they say why.
    """

    weight_K: Floats
    effective: float
    clipped: int
    before: Auc | Unscored
    weighted: Auc | Unscored
    selected: Ints | None = None
    selected_auc: Auc | Unscored | None = None


def effective_sample_size(weight_K: Floats) -> float:
    """How many equally weighted prompts say as much: (sum w)^2 / sum w^2 (Kish, 1965)."""
    return float(weight_K.sum() ** 2 / (weight_K @ weight_K))


def clipped_weights(log_odds_K: Floats) -> tuple[Floats, int]:
    """Weights of mean 1, none above 20, in proportion to the odds; and how many were cut down."""
    weight_K = np.exp(log_odds_K - log_odds_K.max())
    weight_K /= weight_K.mean()
    capped_K = np.zeros(len(weight_K), dtype=bool)
    # Cutting some down raises the rest, which may raise others above: a few rounds settle it.
    while (above_K := weight_K > LARGEST * (1 + 1e-9)).any():
        capped_K |= above_K
        weight_K[capped_K] = LARGEST
        others = weight_K[~capped_K].sum()
        if not others:
            break
        weight_K[~capped_K] *= (len(weight_K) - LARGEST * capped_K.sum()) / others
    return weight_K / weight_K.mean(), int(capped_K.sum())


def measuring_half(target_N: Bools, group_N: Ints, seed: int) -> Bools:
    """Half of the target prompts (N,), groups whole; the seed draws it."""
    groups, inverse = np.unique(group_N[target_N], return_inverse=True)
    sizes = np.bincount(inverse)
    order = np.random.default_rng(seed).permutation(len(groups))
    filled = np.cumsum(sizes[order]) - sizes[order] / 2
    chosen = groups[order[filled <= target_N.sum() / 2]]
    return target_N & np.isin(group_N, chosen)


def _measure(
    features_NV: Any,
    kept_N: Bools,
    target_N: Bools,
    group_N: Ints,
    seed: int,
    weight_N: Floats | None = None,
) -> Auc | Unscored:
    """The AUC between the kept training prompts and the kept target prompts, classifiers fitted anew."""
    fewer = min((kept_N & target_N).sum(), (kept_N & ~target_N).sum())
    if fewer < FEWEST:
        return Unscored(f"{fewer} prompts on one side; an AUC needs {FEWEST}")
    rows = np.flatnonzero(kept_N)
    weights = None if weight_N is None else weight_N[rows]
    try:
        fold = make_folds(group_N[rows], target_N[rows], seed)
    except InputError as error:
        return Unscored(str(error))
    score = cross_fitted(features_NV[rows], target_N[rows], fold, weight_N=weights, seed=seed)
    noise = noise_share(features_NV[rows], target_N[rows], fold, weight_N=weights, seed=seed)
    return auc_with_interval(score, target_N[rows], fold, group_N[rows], weights, noise)


def remedy(
    features_NV: Any,
    target_N: Bools,
    group_N: Ints,
    *,
    select: int | None,
    seed: int,
    advance: Advance,
) -> Remedy:
    """Weigh the training prompts, and choose `select` of them (their places among these)."""
    measuring_N = measuring_half(target_N, group_N, seed)
    rows = np.flatnonzero(~measuring_N)
    fold = make_folds(group_N[rows], target_N[rows], seed)
    score = cross_fitted(features_NV[rows], target_N[rows], fold, seed=seed)
    log_odds_K = np.round(score[~target_N[rows]], 9)
    advance(1)
    weight_K, clipped = clipped_weights(log_odds_K)
    train_N = ~target_N
    weight_N = np.ones(len(target_N))
    weight_N[train_N] = weight_K
    before = _measure(features_NV, train_N | measuring_N, target_N, group_N, seed)
    advance(2)
    weighted = _measure(features_NV, train_N | measuring_N, target_N, group_N, seed, weight_N)
    advance(3)
    found = Remedy(weight_K, effective_sample_size(weight_K), clipped, before, weighted)
    if select is None:
        return found
    noise_K = np.random.default_rng(seed).gumbel(size=len(log_odds_K))
    selected = np.sort(np.argsort(-(np.log(weight_K) + noise_K), kind="stable")[:select])
    kept_N = measuring_N.copy()
    kept_N[np.flatnonzero(train_N)[selected]] = True
    after = _measure(features_NV, kept_N, target_N, group_N, seed)
    advance(4)
    return Remedy(weight_K, found.effective, clipped, before, weighted, selected, after)
