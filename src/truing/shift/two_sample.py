"""The classifier two-sample test: how well training and target prompts can be told apart.

Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample tests", with the area under the ROC curve
in place of accuracy, since the sides differ in size. 0.5: not at all; 1: always.

The AUC is cross-validated: every prompt is scored by a classifier that saw nothing of its group, and only
scores of one classifier are compared. Its interval is LeDell, Petersen and van der Laan (2015),
"Computationally efficient confidence intervals for cross-validated AUC estimates": the variance of the
influence curve, fold by fold. Prompts of one group aren't independent; the influence curve is summed over
each group first, which is Obuchowski (1997), "Nonparametric analysis of clustered ROC curve data". With
one fold and groups of one it is DeLong et al. (1988).

That takes the classifiers as given. But each fold's prompts were also used to fit the others' classifiers.
Let D_f be the difference of the sides in fold f. Where nothing tells them apart, the AUC is 0.5 plus a sum
of D_f D_g over f and g; each pair is in it twice, so that its variance is twice what it would be with
classifiers from elsewhere. Where the classifiers learn what is really there, it isn't. So the variance is
multiplied by 1 + the share of chance in what they learn (`noise_share`).

Other departures: Student's t with one degree of freedom less than the groups of the smaller side, and the
logit scale, so that the interval stays within (0, 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

from truing.progress import Advance
from truing.shift.grouping import Bools, Ints

Floats = NDArray[np.float64]
STRENGTH = 1.0
"""C of the logistic regression: less is more regularised."""


@dataclass(frozen=True)
class Auc:
    """An area under the curve with its 95 % interval, and what stands behind it."""

    value: float
    low: float
    high: float
    n_train: int
    n_target: int
    groups_train: int
    groups_target: int

    def to_json(self) -> dict[str, float | int]:
        """Figures to six decimals, the same on every machine."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in self.__dict__.items()
        }


def _share_weights(target_N: Bools, weight_N: Floats) -> Floats:
    """The weights, scaled so that both sides weigh as much as half of the prompts."""
    result = weight_N.astype(np.float64).copy()
    for side in (target_N, ~target_N):
        result[side] *= 0.5 * len(target_N) / result[side].sum()
    return result


def _fitted(
    features_NV: Any, target_N: Bools, weight_N: Floats, rows_N: Bools, seed: int
) -> LogisticRegression:
    """A classifier that has seen the given rows (N,) alone."""
    # The dual form is the faster one where there are more features than prompts.
    model = LogisticRegression(
        C=STRENGTH, solver="liblinear", dual=True, random_state=seed, max_iter=5000
    )
    return model.fit(features_NV[rows_N], target_N[rows_N], sample_weight=weight_N[rows_N])


def cross_fitted(
    features_NV: Any,
    target_N: Bools,
    fold_N: Ints,
    *,
    weight_N: Floats | None = None,
    seed: int = 0,
    advance: Advance | None = None,
) -> Floats:
    """Log-odds (N,), in nats, of being a target prompt, from classifiers that saw other folds only.

    Both sides count alike whatever their size, so that exp of it estimates p(x | target) / p(x | train).
    """
    weights = _share_weights(target_N, np.ones(len(target_N)) if weight_N is None else weight_N)
    score_N = np.empty(len(target_N))
    for done, fold in enumerate(np.unique(fold_N), start=1):
        inside = fold_N == fold
        model = _fitted(features_NV, target_N, weights, ~inside, seed)
        score_N[inside] = model.decision_function(features_NV[inside])
        if advance:
            advance(done)
    return score_N


def noise_share(
    features_NV: Any,
    target_N: Bools,
    fold_N: Ints,
    *,
    weight_N: Floats | None = None,
    seed: int = 0,
) -> float:
    """How much of what the classifiers say is chance of what they were fitted on: 0 none, 1 all.

    Two classifiers, each fitted on half of the other folds, score the prompts of a fold. Their
    correlation r within a side is what both learnt; 1 - 2r / (1 + r) is what a classifier fitted on
    all of it owes to chance (Spearman and Brown).
    """
    weights = _share_weights(target_N, np.ones(len(target_N)) if weight_N is None else weight_N)
    folds = np.unique(fold_N)
    if len(folds) < 3:
        return 1.0
    both = own = 0.0
    for fold in folds:
        inside, others = fold_N == fold, folds[folds != fold]
        a_M, b_M = (
            _fitted(features_NV, target_N, weights, np.isin(fold_N, half), seed).decision_function(
                features_NV[inside]
            )
            for half in (others[::2], others[1::2])
        )
        for side in (target_N[inside], ~target_N[inside]):
            a, b = a_M[side] - a_M[side].mean(), b_M[side] - b_M[side].mean()
            both += float(a @ b)
            own += float(np.sqrt((a @ a) * (b @ b)))
    r = min(1.0, max(0.0, both / own)) if own else 0.0
    return 1 - 2 * r / (1 + r)


def _placements(score_M: Floats, other_K: Floats, weight_K: Floats) -> Floats:
    """For each score, the weighted share of the others that are below it; ties count half."""
    order = np.argsort(other_K, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weight_K[order])])
    below = sums[np.searchsorted(other_K[order], score_M, side="left")]
    upto = sums[np.searchsorted(other_K[order], score_M, side="right")]
    return np.asarray((below + upto) / 2 / sums[-1])


def auc_with_interval(
    score_N: Floats,
    target_N: Bools,
    fold_N: Ints,
    group_N: Ints,
    weight_N: Floats | None = None,
    noise: float = 0.0,
) -> Auc:
    """The cross-validated AUC of scores. Every fold needs prompts of both sides.

    `noise` is the classifiers' `noise_share`; 0 for scores that weren't fitted on these prompts.
    """
    weight_N = np.ones(len(score_N)) if weight_N is None else weight_N
    above_N, share_N = np.empty(len(score_N)), np.empty(len(score_N))
    aucs, sizes = [], []
    for fold in np.unique(fold_N):
        t, s = (fold_N == fold) & target_N, (fold_N == fold) & ~target_N
        above_N[t] = _placements(score_N[t], score_N[s], weight_N[s])
        above_N[s] = 1 - _placements(score_N[s], score_N[t], weight_N[t])
        for side in (t, s):
            share_N[side] = weight_N[side] / weight_N[side].sum()
        aucs.append(float(share_N[t] @ above_N[t]))
        sizes.append(float(weight_N[t].sum() * weight_N[s].sum()))
        share_N[t | s] *= sizes[-1]
    value = min(1.0, max(0.0, float(np.average(aucs, weights=sizes))))  # rounding aside
    influence_N = share_N / sum(sizes) * (above_N - value)
    variance, groups = _variance(influence_N, target_N, group_N)
    low, high = _interval(value, (1 + noise) * variance, min(groups))
    return Auc(value, low, high, int((~target_N).sum()), int(target_N.sum()), groups[1], groups[0])


def _variance(influence_N: Floats, target_N: Bools, group_N: Ints) -> tuple[float, tuple[int, int]]:
    """The variance of the AUC, and the number of groups with target and with training prompts."""
    number_N = np.unique(group_N, return_inverse=True)[1]
    sums = [
        np.bincount(number_N[side], influence_N[side], minlength=int(number_N.max()) + 1)
        for side in (target_N, ~target_N)
    ]
    present = [len(np.unique(number_N[side])) for side in (target_N, ~target_N)]
    total = int(number_N.max()) + 1
    variance = sum(
        count / max(1, count - 1) * float(s @ s) for count, s in zip(present, sums, strict=True)
    ) + 2 * total / max(1, total - 1) * float(sums[0] @ sums[1])
    return max(0.0, variance), (present[0], present[1])


def _interval(value: float, variance: float, groups: int) -> tuple[float, float]:
    """The 95 % interval. Where all pairs are in order, what so many groups without an error allow."""
    farthest = 0.025 ** (1 / groups)
    if min(value, 1 - value) < 1e-12:
        return (farthest, 1.0) if value > 0.5 else (0.0, 1 - farthest)
    reach = float(student.ppf(0.975, max(1, groups - 1))) * math.sqrt(variance)
    middle = math.log(value / (1 - value))
    step = reach / (value * (1 - value))
    return 1 / (1 + math.exp(min(700.0, step - middle))), 1 / (1 + math.exp(-step - middle))
