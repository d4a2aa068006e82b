"""Fitting the heads: what they see and how much they are held back is chosen by cross-validation.

Everything is chosen on the training side, in folds of prompts. Scores that were given out of fold are then
scaled until they are calibrated (temperature scaling, Guo et al., 2017): the same likelihood once more,
with one feature, the score itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.rewards.learned.sample import Sample
from truing.statistics.judgement_likelihood import Likelihood, Ties
from truing.statistics.linear_scores import LinearScores, fitted

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
LEAST_SCALE = 0.05
"""Where scores out of fold say nothing, or the opposite, they are made small, never turned."""
_HELD = 1e-3
"""The ridge that holds a temperature where every judgement was right out of fold."""


@dataclass(frozen=True)
class Fit:
    """What cross-validation chose, and the head fitted to the whole training side, calibrated.

    `out_of_fold` (A,) are the chosen kind's scores of training answers, each by a head that saw no answer
    to its prompt, before they were scaled; `loss` is the mean -log P of a judgement there, `tried` that
    of everything that was tried.
    """

    feature: str
    ridge: float
    scale: float
    head: LinearScores
    out_of_fold: Floats
    loss: float
    tried: Mapping[tuple[str, float], float]

    def scores(self, features: Any) -> Floats:
        """Calibrated scores of answers with these features."""
        return np.asarray(features @ self.head.weights)


def fit(
    sample: Sample,
    features: Mapping[str, Any],
    ridges: Sequence[float],
    ties: Ties,
    folds: int,
    advance: Callable[[int], object] = lambda done: None,
) -> Fit:
    """The best of all features and ridges; each of `features` is (A, E), dense or sparse.

    `advance` hears how many of them have been tried.
    """
    terms = sample.likelihood(ties)
    fold_J, fold_A = sample.folds(folds)
    tried: dict[tuple[str, float], tuple[float, Floats]] = {}
    for name, table in features.items():
        scores = _out_of_fold(terms, table, ridges, fold_J, fold_A)
        for ridge, (loss, score_A) in zip(ridges, scores, strict=True):
            tried[name, ridge] = (loss, score_A)
        advance(len(tried))
    feature, ridge = min(tried, key=lambda key: tried[key][0])
    loss, score_A = tried[feature, ridge]
    scale, thresholds = temperature(terms, score_A)
    head = fitted(terms, features[feature], ridge)
    calibrated = LinearScores(head.weights * scale, thresholds)
    losses = {key: each[0] for key, each in tried.items()}
    return Fit(feature, ridge, scale, calibrated, score_A, loss, losses)


def temperature(terms: Likelihood, score_A: Floats) -> tuple[float, Floats]:
    """What scores are multiplied by until they are calibrated, and the thresholds that go with it."""
    found = fitted(terms, score_A[:, None], _HELD, around=np.ones(1))
    return max(float(found.weights[0]), LEAST_SCALE), found.thresholds


def _out_of_fold(
    terms: Likelihood, table: Any, ridges: Sequence[float], fold_J: Places, fold_A: Places
) -> list[tuple[float, Floats]]:
    """For each ridge the mean loss out of fold, and the scores (A,); the strongest is fitted first, and
    each begins where the last ended."""
    score_RA = np.zeros((len(ridges), table.shape[0]))
    loss_R = np.zeros(len(ridges))
    for fold in np.unique(fold_J):
        train = terms.weighted((fold_J != fold).astype(np.float64))
        own_A, own_J = np.flatnonzero(fold_A == fold), fold_J == fold
        start: LinearScores | None = None
        for place in np.argsort(ridges)[::-1]:
            start = fitted(train, table, ridges[place], start=start)
            score_RA[place, own_A] = table[own_A] @ start.weights
            loss_R[place] += terms.losses(score_RA[place], start.thresholds)[own_J].sum()
    return [(loss / len(fold_J), score) for loss, score in zip(loss_R, score_RA, strict=True)]


def resampled_heads(
    sample: Sample, table: Any, fit: Fit, ties: Ties, heads: int, seed: int
) -> Floats:
    """(H, E) calibrated weights, each fitted to prompts drawn anew; of one head, that of all."""
    if heads == 1:
        return fit.head.weights[None]
    terms = sample.likelihood(ties)
    names, place_J = np.unique(np.array(sample.prompt), return_inverse=True)
    generator = np.random.default_rng(seed)
    start = LinearScores(fit.head.weights / fit.scale, fit.head.thresholds)
    rows = []
    for _ in range(heads):
        times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)))
        drawn = terms.weighted(times[place_J].astype(np.float64))
        rows.append(fitted(drawn, table, fit.ridge, start=start).weights * fit.scale)
    return np.stack(rows)
