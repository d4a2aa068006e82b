"""Results by category: a row each, the category that is hardest for base first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from truing.report.figures import WIDE, Figure, both
from truing.report.measured import BASE, Measured
from truing.report.metrics import number
from truing.report.svg import Canvas, Scale, colour_class
from truing.types import Metric


@dataclass(frozen=True)
class CategoryFigures:
    """A category's mean for every candidate, for the metrics shown."""

    category: str
    n: int
    means: dict[str, dict[str, float]]


def by_category(
    measured: Measured, categories: Mapping[str, str], metrics: Sequence[Metric]
) -> list[CategoryFigures]:
    """Means of metrics in each category under `evaluation.name`, the category hardest for base first."""
    cells: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    cases: dict[str, set[str]] = defaultdict(set)
    for name in measured.names:
        for metric in metrics:
            key = (metric.evaluation, metric.name)
            value_of = measured.questions.get(name, {}).get(key, {})
            for case, value in value_of.items():
                category = categories.get(case) or "uncategorised"
                cells[category][metric.key][name].append(value)
                cases[category].add(case)
    result = [
        CategoryFigures(
            category,
            len(cases[category]),
            {
                metric: {name: sum(values) / len(values) for name, values in by_name.items()}
                for metric, by_name in by_metric.items()
            },
        )
        for category, by_metric in cells.items()
    ]

    def hardness(entry: CategoryFigures) -> tuple[float, str]:
        better = metrics[0].better or 1
        first = {name: better * mean for name, mean in entry.means.get(metrics[0].key, {}).items()}
        return (first.get(BASE, min(first.values(), default=1.0)), entry.category)

    return sorted(result, key=hardness)


def category_dots(
    entries: list[CategoryFigures],
    names: tuple[str, ...],
    metrics: Mapping[str, str],
    colour: Callable[[str], str] = colour_class,
    prefix: str = "cat",
) -> Figure | None:
    """A row for each category, a dot for each candidate, a panel for each metric; 0 to 1.

    `metrics` maps the names under which entries have means to their titles. `colour` gives a candidate's
    style-sheet class; `prefix` keeps two figures of one page apart.
    """
    present = [metric for metric in metrics if any(metric in entry.means for entry in entries)]
    if not entries or not present:
        return None
    titles = [metrics[metric] for metric in present]

    def draw(width: int, key: str) -> Canvas:
        wide = width == WIDE
        label = 186 if wide else 8
        row = 24 if wide else 38
        top, gap = 40, 40
        height = top + row * len(entries) + 28
        about = f"Dots for {', '.join(names)} in {len(entries)} categories; figures in the table."
        canvas = Canvas(width, height, "Results by category", about, f"{prefix}-{key}")
        panel = (width - label - 14 - gap * (len(present) - 1)) / len(present)
        bottom = top + row * len(entries)
        scales = []
        for index, title in enumerate(titles):
            left = label + index * (panel + gap)
            scales.append(Scale(0.0, 1.0, left, left + panel))
            canvas.text(left, 18, title, "label")
            canvas.x_axis(scales[-1], top - 10, bottom, 4 if wide else 2)
        for place, entry in enumerate(entries):
            y = top + row * (place + (0.5 if wide else 0.72))
            most = 22 if wide else 44
            cut = len(entry.category) > most
            name = f"{entry.category[: most - 1]}…" if cut else entry.category
            if wide:
                canvas.text(label - 14, y + 4, f"{name} ({entry.n})", "cat", "end")
            else:
                canvas.text(label, y - 11, f"{name} ({entry.n})", "cat")
            for metric, scale in zip(present, scales, strict=True):
                _dots(canvas, entry, metric, names, scale, y, colour)
        return canvas

    return both(draw)


def _dots(
    canvas: Canvas,
    entry: CategoryFigures,
    metric: str,
    names: tuple[str, ...],
    scale: Scale,
    y: float,
    colour: Callable[[str], str],
) -> None:
    means = entry.means.get(metric, {})
    points = [(name, means[name]) for name in names if name in means]
    if not points:
        return
    canvas.line(scale.start, y, scale.stop, y, "rail")
    ordered = sorted(value for _, value in points)
    for low, high in pairwise(ordered):
        canvas.line(scale(low), y, scale(high), y, "span")
    for name, value in points:
        hint = f"{entry.category}, {name}: {number(value)}"
        canvas.marker(scale(value), y, colour(name), hint, 4.2)
