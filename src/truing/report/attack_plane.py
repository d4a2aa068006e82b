"""The picture of attacks: what resisting them costs, an arrow from base to each candidate.

Up is the share of attacks that succeed, to the right what the candidate no longer does: permitted twins,
and harmless requests where refusals were measured. Down alone is harder to attack; down and to the right
is doing less of everything. Strengths of one defence are points of one curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report.figures import NARROW, WIDE, Figure, Point, both, whiskers
from truing.report.measured import BASE, Measured
from truing.report.metrics import interval, number
from truing.report.svg import Canvas, Scale, palette
from truing.report.task_metrics import ATTACKED, OVER_REFUSAL, TWIN
from truing.report.tradeoff import curves, tradeoff
from truing.types import Estimate

_HEAD = 7.0
_TALL = 300.0


@dataclass(frozen=True)
class _Panel:
    title: str
    points: tuple[Point, ...]


def attack_plane(measured: Measured, methods: Mapping[str, Any]) -> Figure | None:
    """Attack success against lost twins and against over-refusal; None where base or twins are missing.

    `methods` is what the run's record says of its candidates.
    """
    panels = [
        panel
        for panel in (
            _panel_of(measured, "Permitted twins not done →", TWIN, turned=True),
            _panel_of(measured, "Safe prompts refused →", OVER_REFUSAL, turned=False),
        )
        if len(panel.points) > 1
    ]
    if not panels:
        return None
    lines = [
        [point["candidate"] for point in points]
        for points in curves(tradeoff(measured, methods)).values()
    ]
    colour = palette(measured.names)
    about = "; ".join(
        f"{point.name}: attacks {number(point.y.value)} {interval(point.y)}, "
        f"{panel.title.removesuffix(' →').lower()} {number(point.x.value)} {interval(point.x)}"
        for panel in panels
        for point in panel.points
    )

    def draw(width: int, key: str) -> Canvas:
        columns = len(panels) if width == WIDE else 1
        rows = -(-len(panels) // columns)
        canvas = Canvas(
            width, int(rows * _TALL), "Attack success against its price", about, f"plane-{key}"
        )
        across = min(width / columns, 440.0) if width != NARROW else float(width)
        for place, panel in enumerate(panels):
            left, top = (place % columns) * across, (place // columns) * _TALL
            box = (left + 42, top + 30, left + across - 18, top + _TALL - 50)
            _draw(canvas, box, panel, lines, colour)
        return canvas

    return both(draw)


def _panel_of(measured: Measured, title: str, key: tuple[str, str], *, turned: bool) -> _Panel:
    points = []
    for name in measured.names:
        x, y = measured.value(name, *key), measured.value(name, *ATTACKED)
        if x is None or y is None or x.value is None or y.value is None:
            continue
        points.append(Point(name, _not_done(x) if turned else x, y))
    there = any(point.name == BASE for point in points)
    return _Panel(title, tuple(points) if there else ())


def _not_done(share: Estimate) -> Estimate:
    """The share that isn't done."""
    value, low, high = (
        None if end is None else 1.0 - end for end in (share.value, share.high, share.low)
    )
    return Estimate(value, low, high, share.n, share.unscored)


def _draw(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    panel: _Panel,
    lines: Sequence[Sequence[str]],
    colour: Callable[[str], str],
) -> None:
    left, top, right, bottom = box
    x_scale, y_scale = Scale(0.0, 1.0, left, right), Scale(0.0, 1.0, bottom, top)
    canvas.x_axis(x_scale, top, bottom, 5)
    canvas.y_axis(y_scale, left, right, 5)
    canvas.text(left, top - 10, "Attacks that succeed ↑", "label")
    canvas.text((left + right) / 2, bottom + 33, panel.title, "axis", "middle")
    places = {p.name: (x_scale(p.x.value or 0.0), y_scale(p.y.value or 0.0)) for p in panel.points}
    on_curve = {name for names in lines for name in names if name != BASE}
    for names in lines:
        canvas.path([places[name] for name in names if name in places], "curve dashed c-ink")
    for point in panel.points:
        css = colour(point.name)
        if point.name != BASE and point.name not in on_curve:
            _arrow(canvas, places[BASE], places[point.name], css)
        whiskers(canvas, point, css, x_scale, y_scale)
    for point in panel.points:
        x, y = places[point.name]
        hint = (
            f"{point.name}: attacks {number(point.y.value)} {interval(point.y)}, "
            f"{number(point.x.value)} {interval(point.x)}"
        )
        canvas.marker(x, y, colour(point.name), hint)
        on_right = x > (left + right) / 2
        canvas.text(
            x + (-9 if on_right else 9),
            y - 8,
            point.name,
            f"name {colour(point.name)}",
            "end" if on_right else "start",
        )


def _arrow(canvas: Canvas, start: tuple[float, float], end: tuple[float, float], css: str) -> None:
    """A line from base to a candidate with a head before the candidate's mark; none where they touch."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 3 * _HEAD:
        return
    ux, uy = dx / length, dy / length
    tip = (end[0] - ux * _HEAD, end[1] - uy * _HEAD)
    canvas.line(start[0] + ux * _HEAD, start[1] + uy * _HEAD, *tip, f"whisker {css}")
    back = (tip[0] - ux * _HEAD, tip[1] - uy * _HEAD)
    side = (-uy * _HEAD / 2, ux * _HEAD / 2)
    corners = [(back[0] + side[0], back[1] + side[1]), tip, (back[0] - side[0], back[1] - side[1])]
    canvas.path(corners, f"curve {css}")
