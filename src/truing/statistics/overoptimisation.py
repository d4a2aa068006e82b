"""How a gain goes with the distance from where training began, and where it is largest.

Optimising a proxy moves a policy away; d is the square root of the KL divergence. What the proxy stands
for was seen to follow (Gao, Schulman and Hilton, 2023, Scaling Laws for Reward Model Overoptimization,
equations 1 and 2)

    d (a - b d)         where the best of n answers is chosen: largest at a / 2b
    d (a - b log d)     under reinforcement learning:          largest at exp(a/b - 1)

Both are linear in a and b, so least squares has a closed form. Departures: the paper fits the proxy with
b = 0 and weighs no point; here proxy and gold are fitted alike, and intervals are those of refitting under
redrawn questions. A peak counts as seen where b is above 0 beyond noise and the peak lies between the
nearest and the farthest point that were measured; anything else is a law drawn on beyond its data. The
peak's interval ends at the farthest point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.statistics.means import TAILS, within
from truing.types import Estimate, Unscored

Floats = NDArray[np.float64]
LEAST_POINTS = 4
"""Two parameters go through two points whatever they are, and nearly through three."""
_SINGULAR = 1e-9


@dataclass(frozen=True)
class Form:
    """A law d (a - b g(d)): its name, g, and where it is largest given a and b above 0."""

    name: str
    bend: Callable[[Floats], Floats]
    peak: Callable[[Floats, Floats], Floats]

    def __call__(self, distance: Floats, a: float, b: float) -> Floats:
        """The law's gain at each distance; 0 at 0."""
        return a * distance - b * distance * self.bend(distance)


def _log(distance: Floats) -> Floats:
    """Its logarithm; at 0, where the law is d log d = 0, anything finite will do."""
    return np.log(np.where(distance > 0, distance, 1.0))


def _peak_of_log(a: Floats, b: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.exp(a / b - 1)


FORMS = (
    Form("d(a - b d)", lambda distance: distance, lambda a, b: a / (2 * b)),
    Form("d(a - b log d)", _log, _peak_of_log),
)


@dataclass(frozen=True)
class Points:
    """Gains (P,) at distances (P,), and both under redrawn questions (R, P)."""

    distance_P: Floats
    gain_P: Floats
    distance_RP: Floats
    gain_RP: Floats


@dataclass(frozen=True)
class Fit:
    """A law fitted to points (`n` of its estimates): its parameters, and the peak or why none was seen.

    `error` is the root of the mean squared distance between law and points, `redrawn` a and b under redrawn
    questions.
    """

    form: Form
    a: Estimate
    b: Estimate
    error: float
    peak: Estimate | Unscored
    redrawn: tuple[Floats, Floats] = field(repr=False, compare=False)

    def band(self, distance: Floats) -> Floats:
        """(2, D): between what the law's gain lies at each distance under redrawn questions, 95 %."""
        a_R, b_R = self.redrawn
        bend = self.form.bend(distance)
        gain_RD = a_R[:, None] * distance - b_R[:, None] * distance * bend
        return np.quantile(gain_RD, TAILS, axis=0)

    def at(self, distance: Floats) -> Floats:
        """The fitted gain at each distance."""
        assert self.a.value is not None and self.b.value is not None
        return self.form(distance, self.a.value, self.b.value)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        peak = self.peak
        return {
            "form": self.form.name,
            "a": self.a.to_json(),
            "b": self.b.to_json(),
            "error": self.error,
            "peak": {"unscored": peak.reason} if isinstance(peak, Unscored) else peak.to_json(),
        }


def least_squares(form: Form, distance_RP: Floats, gain_RP: Floats) -> tuple[Floats, Floats]:
    """a (R,) and b (R,) of the law nearest to each row of points; NaN where a row doesn't say."""
    first, second = distance_RP, -distance_RP * form.bend(distance_RP)
    aa, ab, bb = (first**2).sum(-1), (first * second).sum(-1), (second**2).sum(-1)
    ay, by = (first * gain_RP).sum(-1), (second * gain_RP).sum(-1)
    determinant = aa * bb - ab**2
    regular = determinant > _SINGULAR * aa * bb
    safe = np.where(regular, determinant, 1.0)
    a, b = (bb * ay - ab * by) / safe, (aa * by - ab * ay) / safe
    return np.where(regular, a, np.nan), np.where(regular, b, np.nan)


def fit(form: Form, points: Points) -> Fit | Unscored:
    """The law fitted to the points; unscored where they are too few or too alike in distance."""
    away = points.distance_P > 0
    if (count := int(away.sum())) < LEAST_POINTS:
        return Unscored(f"{count} points away from the start; a law needs {LEAST_POINTS}")
    distance, gain = points.distance_P[away], points.gain_P[away]
    a, b = (float(each) for each in least_squares(form, distance, gain))
    if not np.isfinite(a + b):
        return Unscored("all points are at one distance")
    redrawn = least_squares(form, points.distance_RP[:, away], points.gain_RP[:, away])
    regular = np.isfinite(redrawn[0] + redrawn[1])
    if not regular.any():
        return Unscored("no redrawn questions fit a law")
    a_R, b_R = redrawn[0][regular], redrawn[1][regular]
    bend = within(b, b_R, count)
    error = float(np.sqrt(np.mean((form(distance, a, b) - gain) ** 2)))
    peak = _peak(form, a, bend, a_R, b_R, distance)
    return Fit(form, within(a, a_R, count), bend, error, peak, (a_R, b_R))


def _peak(
    form: Form, a: float, b: Estimate, a_R: Floats, b_R: Floats, distance: Floats
) -> Estimate | Unscored:
    assert b.value is not None and b.low is not None and b.high is not None
    if b.high < 0:
        return Unscored("no peak seen: the curve bends upwards")
    if b.low <= 0:
        return Unscored("no peak seen: the bend of the curve is within noise")
    peak = float(form.peak(np.array(a), np.array(b.value)))
    if not distance.min() <= peak <= distance.max():
        return Unscored("no peak seen: it would lie outside what was measured")
    peaks = np.minimum(form.peak(a_R[b_R > 0], b_R[b_R > 0]), distance.max())
    low, high = np.quantile(peaks, TAILS).tolist()
    return Estimate(peak, min(low, peak), max(high, peak), b.n)
