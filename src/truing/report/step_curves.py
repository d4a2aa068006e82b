"""A figure of a log over the steps: a line for whatever learned, its seeds as a band about their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from truing.report.curves import Log, axes, draw_line, series, smoothed
from truing.report.figures import WIDE, Figure, both
from truing.report.svg import Canvas, Scale

Points = list[tuple[int, float]]
MOST_POINTS = 400
"""A line has no more, as many as a figure is wide: of longer ones, means of neighbours."""
_SMOOTH = 10
"""A line is smoothed over a tenth of its points."""


@dataclass(frozen=True)
class Learned:
    """What one line of a figure is read from: logs by seed, and where in a log's line the figure stands."""

    name: str
    css: str
    logs: Mapping[int, Log]
    path: tuple[str, ...]
    looks: bool = False
    """Whether it was taken now and then: each is marked, and none smoothed."""

    def lines(self) -> dict[int, Points]:
        """The points of each seed that has any."""
        found = {seed: series(log, *self.path) for seed, log in self.logs.items()}
        return {seed: thinned(points) for seed, points in found.items() if points}


def thinned(points: Points) -> Points:
    """At most `MOST_POINTS`: means of neighbours, at the last of their steps."""
    each = -(-len(points) // MOST_POINTS)
    if each <= 1:
        return points
    groups = [points[start : start + each] for start in range(0, len(points), each)]
    return [(group[-1][0], fmean(value for _, value in group)) for group in groups]


def band(lines: Sequence[Points]) -> list[tuple[int, float, float, float]]:
    """(step, lowest, mean, highest) at every step that all lines have."""
    by_step = [dict(points) for points in lines]
    steps = sorted(set.intersection(*(set(each) for each in by_step))) if by_step else []
    rows = [(step, [each[step] for each in by_step]) for step in steps]
    return [(step, min(values), fmean(values), max(values)) for step, values in rows]


def step_figure(title: str, learned: Sequence[Learned], key: str) -> Figure | None:
    """None where no log has the figure."""
    lines = [(each, own) for each in learned if (own := each.lines())]
    points = [point for _, own in lines for line in own.values() for point in line]
    if not points:
        return None
    steps = (min(step for step, _ in points), max(step for step, _ in points))
    values = [value for _, value in points]

    def draw(width: int, at: str) -> Canvas:
        height = 220 if width == WIDE else 200
        about = f"{title} over steps {steps[0]} to {steps[1]}; the last: {values[-1]:.3g}."
        canvas = Canvas(width, height, title, about, f"{key}-{at}")
        box = (52.0, 30.0, width - 14.0, height - 42.0)
        spread = max(values) - min(values)
        air = 0.08 * spread or 0.05 * abs(values[0]) or 0.01
        x, y = axes(canvas, box, steps, values, title, show_steps=True, least=air)
        canvas.text((box[0] + box[2]) / 2, height - 6, "step", "axis", "middle")
        for each, own in lines:
            _line(canvas, x, y, each, own)
        return canvas

    return both(draw)


def _line(canvas: Canvas, x: Scale, y: Scale, learned: Learned, own: Mapping[int, Points]) -> None:
    """One seed: the steps faint, their moving mean over them. Several: their mean in a band."""
    if learned.looks:
        for points in own.values():
            draw_line(canvas, x, y, points, f"curve dashed {learned.css}")
            for step, value in points:
                hint = f"step {step}: {learned.name} {value:.3g}"
                canvas.marker(x(step), y(value), learned.css, hint, 3.5)
        return
    window = max(3, max(map(len, own.values())) // _SMOOTH)
    rows = band(list(own.values())) if len(own) > 1 else []
    if len(rows) > 1:
        low = smoothed([(step, lowest) for step, lowest, _, _ in rows], window)
        high = smoothed([(step, highest) for step, _, _, highest in rows], window)
        corners = [[(x(step), y(value)) for step, value in side] for side in (low, high)]
        canvas.band(corners[0], corners[1], learned.css)
        middle = smoothed([(step, mean) for step, _, mean, _ in rows], window)
        draw_line(canvas, x, y, middle, f"curve {learned.css}")
        return
    for points in own.values():
        if len(points) > window:
            draw_line(canvas, x, y, points, f"curve faint {learned.css}")
        draw_line(canvas, x, y, smoothed(points, window), f"curve {learned.css}")
        if len(points) == 1:
            canvas.marker(x(points[0][0]), y(points[0][1]), learned.css)
