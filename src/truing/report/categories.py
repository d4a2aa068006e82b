"""Results by category: a row each with intervals, the category that is hardest for base first.

A few cases say little of a category: in the figure those with fewer than FEW stand together, as one row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from truing.report.figures import WIDE, Figure, both
from truing.report.measured import BASE, Measured
from truing.report.metrics import interval, number
from truing.report.svg import Canvas, Scale, colour_class
from truing.statistics.means import means
from truing.types import Estimate, Metric

FEW = 5
"""Of fewer cases than this a category has no row of its own in the figure."""
_LANE, _AIR = 10.0, 12.0  # the height of a mark with its whiskers, and between two rows

Scores = dict[str, dict[str, dict[str, float]]]
"""A category's scores: by metric, by candidate, by case."""


@dataclass(frozen=True)
class CategoryFigures:
    """A category's mean with its interval for every candidate, for the metrics shown.

    `n` counts its cases.
    """

    category: str
    n: int
    means: dict[str, dict[str, Estimate]]


def category_scores(
    measured: Measured, categories: Mapping[str, str], metrics: Sequence[Metric]
) -> dict[str, Scores]:
    """Every category's scores for metrics under `evaluation.name`, seeds pooled."""
    by_category: dict[str, Scores] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    for name in measured.names:
        for metric in metrics:
            key = (metric.evaluation, metric.name)
            for case, value in measured.questions.get(name, {}).get(key, {}).items():
                category = categories.get(case) or "uncategorised"
                by_category[category][metric.key][name][case] = value
    return by_category


def category_figures(
    by_category: Mapping[str, Scores], first: str = "", name: str = BASE, better: int = 1
) -> list[CategoryFigures]:
    """Means and intervals of each category, the hardest for a candidate under the metric `first` first."""
    samples = [
        (category, metric, candidate, list(values.values()))
        for category, scores in by_category.items()
        for metric, by_name in scores.items()
        for candidate, values in by_name.items()
    ]
    found: dict[str, dict[str, dict[str, Estimate]]] = defaultdict(lambda: defaultdict(dict))
    for (category, metric, candidate, _), mean in zip(
        samples, means([values for *_, values in samples]), strict=True
    ):
        found[category][metric][candidate] = mean
    entries = [
        CategoryFigures(category, _cases(by_category[category]), dict(figures))
        for category, figures in found.items()
    ]

    def hardness(entry: CategoryFigures) -> tuple[float, str]:
        of_first = {
            who: (better or 1) * mean.value
            for who, mean in entry.means.get(first, {}).items()
            if mean.value is not None
        }
        return (of_first.get(name, min(of_first.values(), default=1.0)), entry.category)

    return sorted(entries, key=hardness)


def _cases(scores: Scores) -> int:
    cases = (case for by_name in scores.values() for values in by_name.values() for case in values)
    return len(set(cases))


def small_together(
    by_category: Mapping[str, Scores], entries: Sequence[CategoryFigures]
) -> list[CategoryFigures]:
    """The entries, those of few cases as one row at the end; as they are where one alone is small."""
    small = [entry.category for entry in entries if entry.n < FEW]
    if len(small) < 2:
        return list(entries)
    merged: Scores = defaultdict(lambda: defaultdict(dict))
    for category in small:
        for metric, by_name in by_category[category].items():
            for name, values in by_name.items():
                merged[metric][name] |= values
    title = f"{len(small)} small categories"
    (together,) = category_figures({title: merged})
    rest = [entry for entry in entries if entry.category not in small]
    return [*rest, together]


def category_dots(
    entries: list[CategoryFigures],
    names: tuple[str, ...],
    metrics: Mapping[str, str],
    colour: Callable[[str], str] = colour_class,
    prefix: str = "cat",
) -> Figure | None:
    """A row for each category, marks with intervals for the candidates, a panel for each metric; 0 to 1.

    `metrics` maps the names under which entries have means to their titles. `colour` gives a candidate's
    style-sheet class; `prefix` keeps two figures of one page apart.
    """
    present = [metric for metric in metrics if any(metric in entry.means for entry in entries)]
    if not entries or not present:
        return None
    tall = _LANE * len(names) + _AIR

    def draw(width: int, key: str) -> Canvas:
        wide = width == WIDE
        label, row = (186, max(26.0, tall)) if wide else (8, tall + 18)
        top, gap = 40, 40
        height = round(top + row * len(entries) + 28)
        about = f"{', '.join(names)} in {len(entries)} categories; figures in the table."
        canvas = Canvas(width, height, "Results by category", about, f"{prefix}-{key}")
        panel = (width - label - 14 - gap * (len(present) - 1)) / len(present)
        scales = []
        for index, metric in enumerate(present):
            left = label + index * (panel + gap)
            scales.append(Scale(0.0, 1.0, left, left + panel))
            canvas.text(left, 18, metrics[metric], "label")
            canvas.x_axis(scales[-1], top - 10, top + row * len(entries), 4 if wide else 2)
        for place, entry in enumerate(entries):
            start = top + row * place
            _name(canvas, entry, label, start, row)
            for metric, scale in zip(present, scales, strict=True):
                canvas.line(scale.start, start + row, scale.stop, start + row, "rail")
                y = start + (row - tall + _AIR + _LANE) / 2 + (0 if wide else 9)
                _marks(canvas, entry, metric, names, scale, y, colour)
        return canvas

    return both(draw)


def _name(canvas: Canvas, entry: CategoryFigures, label: float, start: float, row: float) -> None:
    wide = canvas.width == WIDE
    most = 22 if wide else 44
    cut = len(entry.category) > most
    name = f"{entry.category[: most - 1]}…" if cut else entry.category
    if wide:
        canvas.text(label - 14, start + row / 2 + 4, f"{name} ({entry.n})", "cat", "end")
    else:
        canvas.text(label, start + 15, f"{name} ({entry.n})", "cat")


def _marks(
    canvas: Canvas,
    entry: CategoryFigures,
    metric: str,
    names: tuple[str, ...],
    scale: Scale,
    y: float,
    colour: Callable[[str], str],
) -> None:
    """A candidate below the other, each with its whiskers."""
    for name in names:
        mean = entry.means.get(metric, {}).get(name)
        if mean is not None and mean.value is not None:
            if mean.low is not None and mean.high is not None:
                canvas.line(scale(mean.low), y, scale(mean.high), y, f"whisker {colour(name)}")
            hint = f"{entry.category}, {name}\n{number(mean.value)} {interval(mean)}\nof {mean.n}"
            canvas.marker(scale(mean.value), y, colour(name), hint, 4.2)
        y += _LANE
