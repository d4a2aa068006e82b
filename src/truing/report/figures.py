"""The picture of gain against damage, and the kind of figure that comes wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from truing.report.measured import BASE, Measured
from truing.report.metrics import improvement, interval, number, turned
from truing.report.svg import Canvas, Scale, domain, palette
from truing.report.task_metrics import DRIFT, TaskMetrics
from truing.types import Estimate, Metric

WIDE, NARROW = 800, 350
_GAINS = 2
"""So many of the headline's metrics have panels, the weightiest first."""


@dataclass(frozen=True)
class Figure:
    """The same picture for a wide page and for a phone; the style sheet shows one of them."""

    wide: Markup
    narrow: Markup


def both(draw: Callable[[int, str], Canvas]) -> Figure:
    """Draw at both widths; the keys keep element ids apart."""
    return Figure(draw(WIDE, "w").markup(), draw(NARROW, "n").markup())


@dataclass(frozen=True)
class Point:
    """A candidate's place in a plane, with both intervals."""

    name: str
    x: Estimate
    y: Estimate


@dataclass(frozen=True)
class _Damage:
    """What a panel has across. `limit`: the loss allowed, None where it is distance, not loss."""

    metric: Metric
    title: str
    limit: float | None


def _damages(task: TaskMetrics) -> list[_Damage]:
    found = []
    for key, limit in task.must_not_fall.items():
        what, _, of = task.metric_of(*key).spoken_label.partition(", ")
        title = f"{what} lost ({of}) →" if of else f"{what} lost →"
        found.append(_Damage(task.metric_of(*key), title, limit))
    drift = task.metric_of(*DRIFT)
    return [*found, _Damage(drift, f"{drift.brief} per answer →", None)]


def _across(measured: Measured, name: str, damage: _Damage) -> Estimate | None:
    metric = damage.metric
    if damage.limit is None:
        return measured.value(name, metric.evaluation, metric.name)
    difference = measured.difference(name, metric.evaluation, metric.name)
    return None if difference is None else turned(improvement(difference, metric))


def _points(measured: Measured, damage: _Damage, gain: Metric) -> list[Point]:
    points = []
    for name in measured.names:
        y = measured.difference(name, gain.evaluation, gain.name)
        x = _across(measured, name, damage)
        if x is not None and y is not None and x.value is not None and y.value is not None:
            points.append(Point(name, x, improvement(y, gain)))
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
    points: list[Point],
    titles: tuple[str, str],
    limit: float | None,
    colour: Callable[[str], str],
) -> None:
    """One scatter: base at the origin, the gainful and harmless corner shaded."""
    left, top, right, bottom = box
    xs = [end for point in points for end in _ends(point.x)] + [0.0]
    ys = [end for point in points for end in _ends(point.y)] + [0.0]
    if limit is not None:
        xs.append(limit + 0.01)
    x_scale = Scale(*domain(xs), left, right)
    y_scale = Scale(*domain(ys), bottom, top)
    if limit is not None:
        canvas.rect(left, top, x_scale(0.0) - left, y_scale(0.0) - top, "good")
    canvas.x_axis(x_scale, top, bottom, 4)
    canvas.y_axis(y_scale, left, right)
    if limit is not None:
        at = x_scale(limit)
        canvas.line(at, top, at, bottom, "limit")
        canvas.text(at + 4, bottom - 6, "warning", "tick warn")
    canvas.text(left, top - 10, titles[1], "label")
    canvas.text((left + right) / 2, bottom + 33, titles[0], "axis", "middle")
    places = {BASE: (x_scale(0.0), y_scale(0.0))}
    places |= {p.name: (x_scale(p.x.value or 0.0), y_scale(p.y.value or 0.0)) for p in points}
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places.values()]
    for p in points:  # names keep off whiskers too
        x, y = places[p.name]
        taken.append((x - 2, y_scale(p.y.high or 0.0), x + 2, y_scale(p.y.low or 0.0)))
    canvas.marker(*places[BASE], colour(BASE), "base")
    for point in points:
        _draw_point(canvas, point, colour(point.name), x_scale, y_scale)
    for name, (x, y) in places.items():
        width = 7.0 * len(name)
        text_x, text_y, anchor = _label_place(x, y, width, taken, right)
        start = text_x - (width if anchor == "end" else 0)
        taken.append((start, text_y - 10, start + width, text_y + 2))
        canvas.text(text_x, text_y, name, f"name {colour(name)}", anchor)


def whiskers(canvas: Canvas, point: Point, css: str, x_scale: Scale, y_scale: Scale) -> None:
    """Both intervals as lines through the point, where there are any."""
    x, y = x_scale(point.x.value or 0.0), y_scale(point.y.value or 0.0)
    if point.x.low is not None and point.x.high is not None:
        canvas.line(x_scale(point.x.low), y, x_scale(point.x.high), y, f"whisker {css}")
    if point.y.low is not None and point.y.high is not None:
        canvas.line(x, y_scale(point.y.low), x, y_scale(point.y.high), f"whisker {css}")


def _draw_point(canvas: Canvas, point: Point, css: str, x_scale: Scale, y_scale: Scale) -> None:
    x, y = x_scale(point.x.value or 0.0), y_scale(point.y.value or 0.0)
    whiskers(canvas, point, css, x_scale, y_scale)
    hint = (
        f"{point.name}: gain {number(point.y.value, sign=True)} {interval(point.y)}, "
        f"damage {number(point.x.value)} {interval(point.x)}"
    )
    canvas.marker(x, y, css, hint)


def gain_and_damage(measured: Measured) -> Figure | None:
    """Gain (up) against damage (right) with intervals, one point a candidate; None without data."""
    task = measured.task
    panels = [
        (damage, f"Gain in {gain.spoken_label}", points)
        for gain in task.of(task.headline[:_GAINS])
        for damage in _damages(task)
        if (points := _points(measured, damage, gain))
    ]
    colour = palette(measured.names)
    if not panels:
        return None
    columns_wide = 2 if len(panels) > 1 else 1
    about = "; ".join(
        f"{title}, {point.name}: {number(point.y.value, sign=True)} {interval(point.y)}"
        for damage, title, points in panels
        if damage == panels[0][0]
        for point in points
    )

    def draw(width: int, key: str) -> Canvas:
        columns = columns_wide if width == WIDE else 1
        cell_width = width / columns
        cell_height = 292
        rows = -(-len(panels) // columns)
        canvas = Canvas(width, rows * cell_height, "Gain against damage", about, f"gain-{key}")
        for index, (damage, title, points) in enumerate(panels):
            x, y = (index % columns) * cell_width, (index // columns) * cell_height
            box = (x + 46, y + 30, x + cell_width - 14, y + cell_height - 50)
            _panel(canvas, box, points, (damage.title, title), damage.limit, colour)
        return canvas

    return both(draw)
