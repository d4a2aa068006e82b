"""Linear scores of answers from what people said of them: the maximum of a penalised likelihood.

    minimise   loss(F w, t) + ridge / 2 |w - around|^2 + hold (|t - start|^2 / 2 - sum_g log(1 - exp(-g)))

over weights w and thresholds t, with the loss of judgement_likelihood and features F. The last term keeps
thresholds in place of which a sample (a fold, a resample) happens to know nothing: a thousandth of a
judgement, and 0 gives the likelihood's own maximum.

By Newton's method, each step from conjugate gradients and halved until the loss falls (Nocedal and Wright,
2006, Numerical Optimization, algorithm 7.1): no matrix of the features' square is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from truing.statistics.judgement_likelihood import Likelihood, log_within

Floats = NDArray[np.float64]
HOLD = 1e-3
_STEPS, _HALVINGS, _DONE = 60, 40, 1e-10


@dataclass(frozen=True)
class LinearScores:
    """Weights (E,) and thresholds (T,); the score of an answer is its features times the weights."""

    weights: Floats
    thresholds: Floats


@dataclass(frozen=True)
class _Objective:
    """The penalised loss as a function of weights and thresholds, one behind the other.

    `rows` (N, E) are the terms' features, dense or sparse.
    """

    likelihood: Likelihood
    rows: Any
    ridge: float
    hold: float
    around: Floats

    def odds(self, point: Floats) -> Floats:
        weights, thresholds = self._parts(point)
        odds: Floats = self.rows @ weights + self.likelihood.cuts @ thresholds
        return odds

    def value(self, point: Floats) -> float:
        """Infinite where a gap between thresholds has closed."""
        weights, thresholds = self._parts(point)
        own, bounds = self.likelihood, self.likelihood.bounds
        value = own.weight @ np.logaddexp(0, -self.odds(point))
        value -= own.gap_weight @ log_within(own.gaps @ thresholds)
        value += self.ridge / 2 * float(((weights - self.around) ** 2).sum())
        if self.hold:
            value -= self.hold * float(log_within(bounds @ thresholds).sum())
            value += self.hold / 2 * float(((thresholds - own.start) ** 2).sum())
        return float(value)

    def gradient(self, point: Floats) -> Floats:
        weights, thresholds = self._parts(point)
        own, bounds = self.likelihood, self.likelihood.bounds
        slope_N = -own.weight * expit(-self.odds(point))
        of_weights = self.rows.T @ slope_N + self.ridge * (weights - self.around)
        of_thresholds = own.cuts.T @ slope_N + self.hold * (thresholds - own.start)
        of_thresholds -= own.gaps.T @ (own.gap_weight * _slope(own.gaps @ thresholds))
        of_thresholds -= self.hold * (bounds.T @ _slope(bounds @ thresholds))
        return np.concatenate([of_weights, of_thresholds])

    def curvature(self, point: Floats) -> Callable[[Floats], Floats]:
        """What multiplies a vector by the second derivative at a point."""
        _, thresholds = self._parts(point)
        own, bounds = self.likelihood, self.likelihood.bounds
        chance_N = expit(self.odds(point))
        bend_N = own.weight * chance_N * (1 - chance_N)
        bend_M = own.gap_weight * _bend(own.gaps @ thresholds)
        of_gaps = own.gaps.T @ (bend_M[:, None] * own.gaps)
        bend_G = self.hold * _bend(bounds @ thresholds)
        of_gaps += bounds.T @ (bend_G[:, None] * bounds) + self.hold * np.eye(len(thresholds))

        def times(vector: Floats) -> Floats:
            weights, along = self._parts(vector)
            bent_N = bend_N * self.odds(vector)
            of_weights = self.rows.T @ bent_N + self.ridge * weights
            return np.concatenate([of_weights, own.cuts.T @ bent_N + of_gaps @ along])

        return times

    def _parts(self, point: Floats) -> tuple[Floats, Floats]:
        width = self.rows.shape[1]
        return point[:width], point[width:]


def _slope(gap: Floats) -> Floats:
    """The derivative of log(1 - exp(-gap))."""
    return np.asarray(1 / np.expm1(gap))


def _bend(gap: Floats) -> Floats:
    """Its second derivative, turned positive."""
    return np.asarray(np.exp(gap) / np.expm1(gap) ** 2)


def fitted(
    likelihood: Likelihood,
    features: Any,
    ridge: float,
    *,
    around: Floats | None = None,
    start: LinearScores | None = None,
    hold: float = HOLD,
) -> LinearScores:
    """The scores that fit best, of answers with these features (A, E), dense or sparse.

    `around` are weights (E,) that the penalty pulls to (0 without), `start` what to begin with.
    """
    width = features.shape[1]
    around = np.zeros(width) if around is None else around
    objective = _Objective(likelihood, likelihood.contrast @ features, ridge, hold, around)
    begin = start or LinearScores(around, likelihood.start)
    point = _minimum(objective, np.concatenate([begin.weights, begin.thresholds]))
    return LinearScores(point[:width], point[width:])


def _minimum(objective: _Objective, point: Floats) -> Floats:
    enough = _DONE * max(1.0, float(objective.likelihood.weight.sum()))
    value = objective.value(point)
    for _ in range(_STEPS):
        gradient = objective.gradient(point)
        size = float(np.linalg.norm(gradient))
        if size <= enough:
            break
        step = _solved(objective.curvature(point), -gradient, min(0.1, np.sqrt(size / (1 + value))))
        falls = float(gradient @ step)
        for _ in range(_HALVINGS):
            trial = objective.value(point + step)
            # What rounding leaves of a loss that hardly falls any more is no reason to stop.
            if trial <= value + 1e-4 * falls + 1e-13 * abs(value):
                break
            step, falls = step / 2, falls / 2
        else:
            break
        point, value = point + step, trial
    return point


def _solved(times: Callable[[Floats], Floats], wanted: Floats, share: float) -> Floats:
    """x with `times(x)` = `wanted` up to a `share` of its length, by conjugate gradients."""
    found, left = np.zeros_like(wanted), wanted.copy()
    along, squared = left.copy(), float(left @ left)
    enough = share**2 * squared
    for _ in range(10 * len(wanted)):
        if squared <= enough:
            break
        bent = times(along)
        size = squared / float(along @ bent)
        found, left = found + size * along, left - size * bent
        before, squared = squared, float(left @ left)
        along = left + squared / before * along
    return found
