"""The picture of gain against damage, and the kind of figure that comes wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from truing.report.measured import BASE, Measured
from truing.report.metrics import interval, number
from truing.report.svg import Canvas, Scale, colour_class, domain
from truing.types import Estimate

WIDE, NARROW = 800, 350
_GAINS = (("true_and_informative", "true and informative"), ("mc2", "MC2"))
_DAMAGE_LIMIT = 0.05


@dataclass(frozen=True)
class Figure:
    """The same picture for a wide page and for a phone; the style sheet shows one of them."""

    wide: Markup
    narrow: Markup


def both(draw: Callable[[int, str], Canvas]) -> Figure:
    """Draw at both widths; the keys keep element ids apart."""
    return Figure(draw(WIDE, "w").markup(), draw(NARROW, "n").markup())


@dataclass(frozen=True)
class _Point:
    name: str
    x: Estimate
    y: Estimate


def _turned(estimate: Estimate) -> Estimate:
    """A loss from a difference: sign and bounds change places."""
    if estimate.value is None:
        return estimate
    low, high = estimate.low, estimate.high
    return Estimate(
        -estimate.value,
        None if high is None else -high,
        None if low is None else -low,
        estimate.n,
        estimate.unscored,
    )


def _damage(measured: Measured, name: str, kind: str) -> Estimate | None:
    if kind == "control":
        difference = measured.difference(name, "trivia", "mc1")
        return None if difference is None else _turned(difference)
    return measured.value(name, "drift", "kl")


def _points(measured: Measured, kind: str, gain: str) -> list[_Point]:
    points = []
    for name in measured.names:
        y = measured.difference(name, "truthfulness", gain)
        x = _damage(measured, name, kind)
        if x is not None and y is not None and x.value is not None and y.value is not None:
            points.append(_Point(name, x, y))
    return points


def _ends(estimate: Estimate) -> list[float]:
    return [part for part in (estimate.value, estimate.low, estimate.high) if part is not None]


def _label_place(
    x: float, y: float, width: float, taken: list[tuple[float, float, float, float]], right: float
) -> tuple[float, float, str]:
    """Where a point's name collides least with names and points that are already there."""
    corners = [(9, -9, "start"), (9, 17, "start"), (-9, -9, "end"), (-9, 17, "end")]
    best, least = corners[0], float("inf")
    for dx, dy, anchor in corners:
        left = x + dx - (width if anchor == "end" else 0)
        box = (left, y + dy - 10, left + width, y + dy + 2)
        overlap = 1000.0 if box[2] > right else 0.0
        for other in taken:
            across = min(box[2], other[2]) - max(box[0], other[0])
            down = min(box[3], other[3]) - max(box[1], other[1])
            overlap += across * down if across > 0 and down > 0 else 0
        if overlap < least:
            best, least = (dx, dy, anchor), overlap
    return x + best[0], y + best[1], best[2]


def _panel(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    points: list[_Point],
    titles: tuple[str, str],
    kind: str,
) -> None:
    """One scatter: base at the origin, the gainful and harmless corner shaded."""
    left, top, right, bottom = box
    xs = [end for point in points for end in _ends(point.x)] + [0.0]
    ys = [end for point in points for end in _ends(point.y)] + [0.0]
    if kind == "control":
        xs.append(_DAMAGE_LIMIT + 0.01)
    x_scale = Scale(*domain(xs), left, right)
    y_scale = Scale(*domain(ys), bottom, top)
    if kind == "control":
        canvas.rect(left, top, x_scale(0.0) - left, y_scale(0.0) - top, "good")
    canvas.x_axis(x_scale, top, bottom, 4)
    canvas.y_axis(y_scale, left, right)
    if kind == "control":
        limit = x_scale(_DAMAGE_LIMIT)
        canvas.line(limit, top, limit, bottom, "limit")
        canvas.text(limit + 4, bottom - 6, "warning", "tick warn")
    canvas.text(left, top - 10, titles[1], "label")
    canvas.text((left + right) / 2, bottom + 33, titles[0], "axis", "middle")
    places = {BASE: (x_scale(0.0), y_scale(0.0))}
    places |= {p.name: (x_scale(p.x.value or 0.0), y_scale(p.y.value or 0.0)) for p in points}
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places.values()]
    for p in points:  # names keep off whiskers too
        x, y = places[p.name]
        taken.append((x - 2, y_scale(p.y.high or 0.0), x + 2, y_scale(p.y.low or 0.0)))
    canvas.marker(*places[BASE], colour_class(BASE), "base")
    for point in points:
        _draw_point(canvas, point, x_scale, y_scale)
    for name, (x, y) in places.items():
        width = 7.0 * len(name)
        text_x, text_y, anchor = _label_place(x, y, width, taken, right)
        start = text_x - (width if anchor == "end" else 0)
        taken.append((start, text_y - 10, start + width, text_y + 2))
        canvas.text(text_x, text_y, name, f"name {colour_class(name)}", anchor)


def _draw_point(canvas: Canvas, point: _Point, x_scale: Scale, y_scale: Scale) -> None:
    css = colour_class(point.name)
    x, y = x_scale(point.x.value or 0.0), y_scale(point.y.value or 0.0)
    if point.x.low is not None and point.x.high is not None:
        canvas.line(x_scale(point.x.low), y, x_scale(point.x.high), y, f"whisker {css}")
    if point.y.low is not None and point.y.high is not None:
        canvas.line(x, y_scale(point.y.low), x, y_scale(point.y.high), f"whisker {css}")
    hint = (
        f"{point.name}: gain {number(point.y.value, sign=True)} {interval(point.y)}, "
        f"damage {number(point.x.value)} {interval(point.x)}"
    )
    canvas.marker(x, y, css, hint)


def gain_and_damage(measured: Measured) -> Figure | None:
    """Gain (up) against damage (right) with intervals, one point a candidate; None without data."""
    damages = {
        "control": "control questions lost (MC1) →",
        "kl": "KL to base, nats per answer →",
    }
    panels = [
        (kind, x_title, f"Gain in {y_title}", points)
        for gain, y_title in _GAINS
        for kind, x_title in damages.items()
        if (points := _points(measured, kind, gain))
    ]
    if not panels:
        return None
    columns_wide = 2 if len(panels) > 1 else 1
    about = "; ".join(
        f"{title}, {point.name}: {number(point.y.value, sign=True)} {interval(point.y)}"
        for kind, _, title, points in panels
        if kind == panels[0][0]
        for point in points
    )

    def draw(width: int, key: str) -> Canvas:
        columns = columns_wide if width == WIDE else 1
        cell_width = width / columns
        cell_height = 292
        rows = -(-len(panels) // columns)
        canvas = Canvas(width, rows * cell_height, "Gain against damage", about, f"gain-{key}")
        for index, (kind, x_title, y_title, points) in enumerate(panels):
            x, y = (index % columns) * cell_width, (index // columns) * cell_height
            box = (x + 46, y + 30, x + cell_width - 14, y + cell_height - 50)
            _panel(canvas, box, points, (x_title, y_title), kind)
        return canvas

    return both(draw)
