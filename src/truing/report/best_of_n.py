"""The picture of choosing among answers: reward, and what it stands for, of the best of n for every n."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from truing.report.figures import WIDE, Figure, both
from truing.report.metrics import interval, number
from truing.report.svg import Canvas, Scale, domain, palette
from truing.report.task_metrics import TaskMetrics
from truing.statistics.best_of_n import Draws, curve, gains, kl_bound
from truing.types import Estimate, Metric, Row, Score, Unit, Unscored

BEST_OF_N = "best_of_n"
REWARD = "reward"
_TALL = 290.0
Line = Mapping[int, Estimate]


@dataclass(frozen=True)
class _Panel:
    """One figure of the best of n, a line for each candidate."""

    title: str
    unit: Unit
    lines: Mapping[str, Line]


@dataclass(frozen=True)
class BestOfNTable:
    """The same in words and figures: for some n, each candidate's reward and judged figure."""

    names: tuple[str, ...] = ()
    cases: int = 0
    captions: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()


def best_of_n_figure(rows: Sequence[Row], names: Sequence[str], task: TaskMetrics) -> Figure | None:
    """A panel of the reward, one of the judged figure; None where nothing was drawn."""
    panels = _panels(rows, names, task)
    if not panels:
        return None
    colour = palette(names)
    about = "; ".join(
        f"{name}, {panel.title.lower()}: {number(_first(line), panel.unit)} at n = 1, "
        f"{number(_last(line), panel.unit)} at n = {max(line)}"
        for panel in panels
        for name, line in panel.lines.items()
    )

    def draw(width: int, key: str) -> Canvas:
        columns = len(panels) if width == WIDE else 1
        tall = -(-len(panels) // columns) * _TALL
        canvas = Canvas(width, int(tall), "Best of n: reward and judges", about, f"best-{key}")
        across = width / columns
        for place, panel in enumerate(panels):
            left, top = (place % columns) * across, (place // columns) * _TALL
            box = (left + 46, top + 34, left + across - 14, top + _TALL - 62)
            _draw(canvas, box, panel, colour)
        return canvas

    return both(draw)


def best_of_n_table(rows: Sequence[Row], names: Sequence[str], task: TaskMetrics) -> BestOfNTable:
    """Each candidate's figures at powers of two and at the last n; empty where nothing was drawn."""
    panels = _panels(rows, names, task)
    if not panels:
        return BestOfNTable()
    drawn = tuple(panels[0].lines)
    sizes = _shown(max(n for line in panels[0].lines.values() for n in line))
    head = [f"{name}: {panel.title.lower()}" for name in drawn for panel in panels]
    cells = [
        (str(n), (f"{kl_bound(n):.2f}", *(_cell(p, name, n) for name in drawn for p in panels)))
        for n in sizes
    ]
    cases = {row.case for row in rows if row.evaluation == BEST_OF_N and row.detail.get("rewards")}
    captions = tuple(_caption(rows, name, task, panels) for name in drawn)
    return BestOfNTable(drawn, len(cases), captions, ("KL, at most", *head), tuple(cells))


def best_of_n_json(rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
    """`best_of_n`: by candidate, figure and n the estimate; nothing where nothing was drawn."""
    own = [row for row in rows if row.evaluation == BEST_OF_N and row.detail.get("rewards")]
    values = dict.fromkeys((REWARD, *(name for row in own for name in row.detail["values"])))
    curves = {
        name: {value: _line(_draws(own, name, value)) for value in values}
        for name in names
        if any(row.candidate == name for row in own)
    }
    as_json = {
        name: {
            value: {
                str(n): {**each.to_json(), "kl_at_most": kl_bound(n)} for n, each in line.items()
            }
            for value, line in by_value.items()
        }
        for name, by_value in curves.items()
    }
    return {BEST_OF_N: as_json} if as_json else {}


def _cell(panel: _Panel, name: str, n: int) -> str:
    estimate = panel.lines.get(name, {}).get(n)
    if estimate is None or estimate.value is None:
        return "–"
    return f"{number(estimate.value, panel.unit)} {interval(estimate, panel.unit)}"


def _caption(rows: Sequence[Row], name: str, task: TaskMetrics, panels: Sequence[_Panel]) -> str:
    """What choosing among all draws gains, in a sentence."""
    value = _judged(rows, task)
    names = (REWARD, value.name) if value else (REWARD,)
    parts, n = [], max(panels[0].lines[name])
    for panel, figure in zip(panels, names, strict=True):
        gain = gains(_draws(rows, name, figure), [n])[n]
        noise = gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high
        ends = interval(gain, panel.unit, sign=True)
        text = f"{panel.title.lower()} by {number(gain.value, panel.unit, sign=True)} {ends}"
        parts.append(f"{text}{' (within noise)' if noise else ''}")
    return (
        f"{name}: choosing the best of {n} by the reward changes {' and '.join(parts)}, at most "
        f"{kl_bound(n):.2f} nats from what it draws."
    )


def _panels(rows: Sequence[Row], names: Sequence[str], task: TaskMetrics) -> list[_Panel]:
    """The reward and the figure that it stands for, where any answers were drawn."""
    reward = Metric(BEST_OF_N, REWARD, "Training reward", 0, "reward", "")
    panels = []
    for metric in (reward, _judged(rows, task)):
        if metric is None:
            continue
        lines = {name: _line(_draws(rows, name, metric.name)) for name in names}
        with_values = {name: line for name, line in lines.items() if line}
        if with_values:
            panels.append(_Panel(metric.label, metric.unit, with_values))
    return panels


def _judged(rows: Sequence[Row], task: TaskMetrics) -> Metric | None:
    """What the reward stands for among what the draws were graded by, else the first of that."""
    graded = dict.fromkeys(
        name for row in rows if row.evaluation == BEST_OF_N for name in row.detail.get("values", ())
    )
    watched = [metric for metric in task.watched if metric.name in graded]
    return watched[0] if watched else None


def _draws(rows: Sequence[Row], candidate: str, value: str) -> list[Draws]:
    return [
        Draws(
            row.case,
            _scores(row.detail["rewards"]),
            _scores(row.detail["rewards"] if value == REWARD else row.detail["values"][value]),
        )
        for row in rows
        if row.candidate == candidate and row.evaluation == BEST_OF_N and row.detail.get("rewards")
    ]


def _scores(numbers: Sequence[float | None]) -> list[Score]:
    return [Unscored("no score") if each is None else float(each) for each in numbers]


def _line(draws: Sequence[Draws]) -> Line:
    """The figure for every n that all cases have."""
    if not draws:
        return {}
    estimates = curve(draws, range(1, min(len(each.rewards) for each in draws) + 1))
    return {n: each for n, each in estimates.items() if each.value is not None}


def _first(line: Line) -> float | None:
    return line[min(line)].value


def _last(line: Line) -> float | None:
    return line[max(line)].value


def _shown(most: int) -> list[int]:
    """1, 2, 4, ... and the largest n."""
    powers = [1 << exponent for exponent in range(most.bit_length()) if 1 << exponent <= most]
    return sorted({*powers, most})


def _draw(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    panel: _Panel,
    colour: Callable[[str], str],
) -> None:
    left, top, right, bottom = box
    most = max(n for line in panel.lines.values() for n in line)
    ends = [
        end
        for line in panel.lines.values()
        for each in line.values()
        for end in (each.value, each.low, each.high)
        if end is not None
    ]
    x = Scale(0.0, max(math.sqrt(kl_bound(most)), 0.1), left, right)
    y = Scale(*domain(ends, least=0.01), bottom, top)
    canvas.y_axis(y, left, right, 4)
    canvas.line(left, bottom, right, bottom, "frame")
    for n in _shown(most):
        at = x(math.sqrt(kl_bound(n)))
        canvas.line(at, bottom, at, bottom + 4, "frame")
        canvas.text(at, bottom + 18, str(n), "tick", "middle")
        canvas.text(at, bottom + 32, f"{kl_bound(n):.2f}", "tick", "middle")
    canvas.text(left, top - 12, panel.title, "label")
    canvas.text((left + right) / 2, bottom + 52, "n, and KL in nats at most (√)", "axis", "middle")
    for name, line in panel.lines.items():
        _draw_line(canvas, x, y, line, colour(name), name, panel.unit)


def _draw_line(
    canvas: Canvas, x: Scale, y: Scale, line: Line, css: str, name: str, unit: Unit
) -> None:
    """A band, the line in it, and a mark at each n that is named beneath."""
    places = {n: x(math.sqrt(kl_bound(n))) for n in line}
    known = [
        (n, e.low, e.high) for n, e in line.items() if e.low is not None and e.high is not None
    ]
    low = [(places[n], y(end)) for n, end, _ in known if end is not None]
    high = [(places[n], y(end)) for n, _, end in known if end is not None]
    canvas.band(low, high, css)
    canvas.path([(places[n], y(each.value or 0.0)) for n, each in line.items()], f"curve {css}")
    for n in _shown(max(line)):
        if n in line:
            hint = f"{name}, best of {n}: {number(line[n].value, unit)} {interval(line[n], unit)}"
            canvas.marker(places[n], y(line[n].value or 0.0), css, hint, 3.5)
