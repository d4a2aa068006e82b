"""The picture of proxy and gold along the distance from base, with bands and the peak where one was seen.

Above what training was rewarded with, below what that stands for, over the same square root of KL. Points
are looks at the policy with their intervals over questions; the line is the law nearest to them. Where
answers of the base were drawn, best-of-n is a second series, as far away as its bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truing.report.figures import WIDE, Figure, Point, both, whiskers
from truing.report.metrics import interval, number
from truing.report.reward_audit import RewardAudit
from truing.report.reward_points import CURVES, Series
from truing.report.reward_points import Point as Place
from truing.report.svg import Canvas, Scale, domain
from truing.statistics.overoptimisation import Fit
from truing.types import Estimate, Metric, Unit

_COLOURS = {"proxy": "c-reward", "gold": "c-both"}
_CHOSEN = "c-ink"
_STEPS = 60
"""Pieces of a drawn law."""


def reward_plane(audit: RewardAudit) -> Figure | None:
    """None where a training was never looked at away from its start."""
    every, gold = _every(audit), audit.gold
    if not every or gold is None:
        return None

    def draw(width: int, key: str) -> Canvas:
        panel = 180 if width == WIDE else 160
        canvas = Canvas(
            width,
            2 * panel + 130,
            "Reward and what it stands for, by distance from base",
            " ".join(captions(audit)),
            f"reward-{key}",
        )
        left, right = 50.0, width - 14.0
        x = Scale(*_across(every), left, right)
        for place, (curve, title) in enumerate(_titles(gold)):
            top = 34.0 + place * (panel + 44)
            _panel(canvas, x, (top, top + panel), every, curve, title, _unit(curve, gold))
        canvas.text((left + right) / 2, 2 * panel + 122, "√KL to base", "axis", "middle")
        return canvas

    return both(draw)


def _every(audit: RewardAudit) -> list[tuple[str, Series]]:
    """Each series there is, with what a step of it is called."""
    named = (("step", audit.series), ("best of", audit.drawn))
    return [(name, series) for name, series in named if series is not None]


def _titles(gold: Metric) -> tuple[tuple[str, str], ...]:
    turned = ", turned round" if gold.better == -1 else ""
    titles = ("Gain in training reward", f"Gain in {gold.spoken_label}{turned}")
    return tuple(zip(CURVES, titles, strict=True))


def _unit(curve: str, gold: Metric) -> Unit:
    return gold.unit if curve == "gold" else "reward"


def captions(audit: RewardAudit) -> list[str]:
    """What each curve does, in a sentence."""
    if audit.gold is None:
        return []
    names = {"proxy": "the training reward", "gold": audit.gold.spoken}
    sentences = []
    for step, curve, series in ((s, c, each) for s, each in _every(audit) for c in CURVES):
        law = series.best(curve)
        name = names[curve][:1].upper() + names[curve][1:]
        name += ", by best-of-n" if step == "best of" else ""
        if not isinstance(law, Fit):
            sentences.append(f"{name}: no curve was fitted ({law.reason}).")
        elif isinstance(law.peak, Estimate):
            at = f"{number(law.peak.value, 'reward')} {interval(law.peak, 'reward')}"
            sentences.append(f"{name}: peak at √KL {at}, law {law.form.name}.")
        else:
            sentences.append(f"{name}: {law.peak.reason}, law {law.form.name}.")
    return sentences


def _ends(estimate: Estimate) -> list[float]:
    return [end for end in (estimate.value, estimate.low, estimate.high) if end is not None]


def _across(every: Sequence[tuple[str, Series]]) -> tuple[float, float]:
    ends = [e for _, series in every for point in series.points for e in _ends(point.distance)]
    return 0.0, max(*ends, 0.1) * 1.05


def _panel(
    canvas: Canvas,
    x: Scale,
    ends: tuple[float, float],
    every: Sequence[tuple[str, Series]],
    curve: str,
    title: str,
    unit: Unit,
) -> None:
    top, bottom = ends
    estimates = [getattr(point, curve) for _, series in every for point in series.points]
    y = Scale(*domain([0.0, *(end for each in estimates for end in _ends(each))]), bottom, top)
    canvas.x_axis(x, top, bottom, 6)
    canvas.y_axis(y, x.start, x.stop, 4)
    canvas.text(x.start, top - 12, title, "label")
    for step, series in every:
        css = _COLOURS[curve] if step == "step" else _CHOSEN
        law = series.best(curve)
        if isinstance(law, Fit):
            farthest = max(point.distance.value or 0.0 for point in series.points)
            _draw_law(canvas, x, y, law, css, farthest)
            _draw_peak(canvas, x, law, ends)
        _draw_points(canvas, x, y, series.points, curve, (unit, step, css))


def _draw_law(canvas: Canvas, x: Scale, y: Scale, law: Fit, css: str, farthest: float) -> None:
    """As far as it was measured."""
    distance = np.linspace(0.0, farthest, _STEPS)
    band = law.band(distance)
    places = [x(float(each)) for each in distance]
    above = [(at, y(float(end))) for at, end in zip(places, band[1], strict=True)]
    below = [(at, y(float(end))) for at, end in zip(places, band[0], strict=True)]
    canvas.band(below, above, css)
    line = zip(places, law.at(distance), strict=True)
    canvas.path([(at, y(float(gain))) for at, gain in line], f"curve {css}")


def _draw_peak(canvas: Canvas, x: Scale, law: Fit, ends: tuple[float, float]) -> None:
    if not isinstance(law.peak, Estimate) or law.peak.value is None:
        return
    at, (top, bottom) = x(law.peak.value), ends
    canvas.line(at, top, at, bottom, "parting")
    left_of = at > (x.start + x.stop) / 2
    text = f"peak {number(law.peak.value, 'reward')}"
    anchor = "end" if left_of else "start"
    canvas.text(at + (-6 if left_of else 6), top + 12, text, "tick parting", anchor)


def _draw_points(
    canvas: Canvas,
    x: Scale,
    y: Scale,
    points: Sequence[Place],
    curve: str,
    style: tuple[Unit, str, str],
) -> None:
    """`style` is the unit, what a step is called, and the colour."""
    unit, step, css = style
    for point in points:
        gain: Estimate = getattr(point, curve)
        whiskers(canvas, Point(curve, point.distance, gain), css, x, y)
        seed = f"seed {point.seed}, " if step == "step" else ""
        hint = (
            f"{seed}{step} {point.step}: {number(gain.value, unit, sign=True)} "
            f"{interval(gain, unit, sign=True)} at {number(point.distance.value, 'reward')}"
        )
        canvas.marker(x(point.distance.value or 0.0), y(gain.value or 0.0), css, hint, 3.5)
