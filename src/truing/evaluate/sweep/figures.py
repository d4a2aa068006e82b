"""The pictures of a sweep: bars for each prompt, figures against model size, figures by category.

Bars and sizes are the two pictures of Lin et al. (2022): figure 2 has truthfulness and the accuracy on
control questions against model size, figure 4 shares of true and of true and informative answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from truing.evaluate import EVALUATIONS
from truing.evaluate.sweep.result import Line, SweepResult
from truing.evaluate.sweep.shown import (
    CHOICE,
    colours,
    labels,
    metric_in,
    metrics_in,
    shares,
    shown_lines,
    titled,
)
from truing.judges.graded import JUDGED
from truing.report.categories import Scores, category_dots, category_figures, small_together
from truing.report.figures import WIDE, Figure, both
from truing.report.metrics import interval, number
from truing.report.quantities import count
from truing.report.svg import Canvas, Scale, short
from truing.types import Row

_BAR, _AIR = 15.0, 26.0


@dataclass(frozen=True)
class Panel:
    """One plot of bars: bars of the later metrics lie over those of the first."""

    title: str
    lines: Sequence[Line]
    metrics: tuple[str, ...]

    @property
    def there(self) -> bool:
        """Whether any line has any of the metrics."""
        return any(metric in line.metrics for line in self.lines for metric in self.metrics)


def choice_panels(lines: Sequence[Line]) -> list[Panel]:
    """A panel for each metric of given answers."""
    return [Panel(metric_in("truthfulness", m).label, lines, (m,)) for m in CHOICE]


def judged_panels(lines: Sequence[Line]) -> list[Panel]:
    """True answers with the true and informative ones in them, and informative ones."""
    return [
        Panel("True; solid: informative too", lines, ("true", "true_and_informative")),
        Panel("Informative", lines, ("informative",)),
    ]


def share_panels(evaluation: str, lines: Sequence[Line]) -> list[Panel]:
    """A panel for each other share."""
    others = [m for m in metrics_in(lines) if m not in (*CHOICE, *JUDGED)]
    return [Panel(metric_in(evaluation, m).label, lines, (m,)) for m in shares(evaluation, others)]


def bars(
    panels: Sequence[Panel],
    colour: Callable[[str], str],
    key: str,
    title: str = "Results by prompt",
) -> Figure | None:
    """A group of bars for each prompt, a bar for each candidate. None where there is no figure."""
    panels = [panel for panel in panels if panel.there]
    if not panels:
        return None
    groups: dict[str, dict[str, None]] = {}
    for line in (line for panel in panels for line in panel.lines):
        groups.setdefault(line.prompt, {}).setdefault(line.candidate)
    tall = sum(len(group) * _BAR + _AIR for group in groups.values())
    names = ", ".join(panel.title for panel in panels)
    about = f"Bars of {names} by prompt; the figures stand in the table."

    def draw(width: int, at: str) -> Canvas:
        wide = width == WIDE
        label, gap = (150.0, 36.0) if wide else (8.0, 0.0)
        columns = len(panels) if wide else 1
        high = tall + 70
        canvas = Canvas(width, int(high * (len(panels) // columns)), title, about, f"{key}-{at}")
        across = (width - label - 14 - gap * (columns - 1)) / columns
        for place, panel in enumerate(panels):
            left = label + (place % columns) * (across + gap)
            top = (place // columns) * high
            labelled = not wide or place == 0
            _panel(canvas, panel, groups, Scale(0.0, 1.0, left, left + across), top, tall, colour,
                   (label - 14 if wide else label) if labelled else None)  # fmt: skip
        return canvas

    return both(draw)


def _panel(
    canvas: Canvas,
    panel: Panel,
    groups: Mapping[str, Mapping[str, None]],
    scale: Scale,
    top: float,
    tall: float,
    colour: Callable[[str], str],
    label: float | None,
) -> None:
    """One panel of bars. `label`: where the prompts' names stand, if they do."""
    canvas.text(scale.start, top + 18, panel.title, "label")
    canvas.x_axis(scale, top + 28, top + tall + 36, 4)
    of = {(line.prompt, line.candidate): line for line in panel.lines}
    y = top + 42
    for prompt, candidates in groups.items():
        if label is not None and canvas.width == WIDE:
            canvas.text(label, y + len(candidates) * _BAR / 2 + 2, short(prompt, 22), "cat", "end")
        elif label is not None:
            canvas.text(label, y - 3, prompt, "cat")
        for candidate in candidates:
            if line := of.get((prompt, candidate)):
                _bars_of(canvas, scale, line, panel.metrics, y, colour(candidate))
            y += _BAR
        y += _AIR


def _bars_of(
    canvas: Canvas, scale: Scale, line: Line, metrics: tuple[str, ...], y: float, css: str
) -> None:
    height = _BAR - 3
    estimates = [line.metrics[metric] for metric in metrics if metric in line.metrics]
    for place, estimate in enumerate(estimates):
        if estimate.value is None:
            canvas.text(scale.start + 4, y + height - 2, "unscored", "tick")
            continue
        pale = " pale" if place < len(estimates) - 1 else ""
        wide = scale(estimate.value) - scale.start
        canvas.rect(scale.start, y, wide, height, f"bar{pale} {css}")
        if estimate.low is not None and estimate.high is not None:
            middle = y + height / 2
            canvas.line(scale(estimate.low), middle, scale(estimate.high), middle, "range")


def parameters(number: float) -> str:
    """A model's size as people write it: '135 M', '1.7 B'."""
    for unit, size in (("B", 1e9), ("M", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return count(number)


def sizes(result: SweepResult) -> Figure | None:
    """Truthfulness and, beside it, control questions against the number of parameters.

    A colour for each prompt. Lines join models of one architecture alone, since others differ in more
    than size. None where fewer than two sizes are known.
    """
    known = {name: about["parameters"] for name, about in result.models.items()}
    logs = {name: math.log10(size) for name, size in known.items() if size}
    if len(set(logs.values())) < 2:
        return None
    panels = [
        (titled(evaluation, metric), metric, lines)
        for evaluation, lines in ((name, shown_lines(result, name)) for name in result.asked)
        for metric in shares(evaluation, EVALUATIONS[evaluation].headline)
        if metric in metrics_in(lines)
    ]
    if not panels:
        return None
    prompts = list(dict.fromkeys(labels(result).values()))
    about = f"{', '.join(title for title, _, _ in panels)} against model size, by prompt."

    def draw(width: int, at: str) -> Canvas:
        columns = len(panels) if width == WIDE else 1
        across, high = width / columns, 300
        canvas = Canvas(width, high * (len(panels) // columns), "Model size", about, f"sizes-{at}")
        for place, (title, metric, lines) in enumerate(panels):
            left, top = (place % columns) * across + 44, (place // columns) * high
            canvas.text(left, top + 16, title, "label")
            x = Scale(min(logs.values()) - 0.1, max(logs.values()) + 0.1, left, left + across - 60)
            y = Scale(0.0, 1.0, top + high - 40.0, top + 30.0)
            _size_panel(canvas, result, lines, metric, prompts, logs, x, y)
        return canvas

    return both(draw)


def _size_panel(
    canvas: Canvas,
    result: SweepResult,
    lines: Sequence[Line],
    metric: str,
    prompts: Sequence[str],
    logs: Mapping[str, float],
    x: Scale,
    y: Scale,
) -> None:
    canvas.y_axis(y, x.start, x.stop)
    last = -math.inf
    for size in sorted(set(logs.values())):
        if x(size) - last > 46:
            canvas.text(x(size), y.start + 20, parameters(10**size), "tick", "middle")
            last = x(size)
    colour = colours(prompts)
    for place, prompt in enumerate(prompts):
        aside = (place - (len(prompts) - 1) / 2) * min(3.0, 24 / len(prompts))
        series: dict[str, list[tuple[float, float]]] = {}
        for line in sorted(lines, key=lambda line: logs.get(line.candidate, 0.0)):
            estimate = line.metrics.get(metric)
            if line.prompt != prompt or line.candidate not in logs or estimate is None:
                continue
            if estimate.value is None:
                continue
            at = (x(logs[line.candidate]) + aside, y(estimate.value))
            kind = result.models[line.candidate]["architecture"]
            series.setdefault(kind, []).append(at)
            if estimate.low is not None and estimate.high is not None:
                canvas.line(
                    at[0], y(estimate.low), at[0], y(estimate.high), f"whisker {colour(prompt)}"
                )
            hint = f"{line.candidate}, {prompt}: {number(estimate.value)} {interval(estimate)}"
            canvas.marker(*at, colour(prompt), hint, 4.2)
        for points in series.values():
            canvas.path(points, f"curve soft {colour(prompt)}")


def categories(result: SweepResult, evaluation: str) -> list[tuple[str, Figure]]:
    """For each candidate, a mark for each prompt in each category; nothing without categories."""
    label_of = labels(result)
    prompts = tuple(dict.fromkeys(label_of.values()))
    figures = []
    for place, name in enumerate(result.models):
        rows = [
            (label_of[prompt], row)
            for prompt, row in result.rows
            if row.candidate == name and row.evaluation == evaluation
        ]
        metrics = _by_category(evaluation, rows)
        scores = _category_scores(rows, metrics)
        entries = category_figures(scores, metrics[0], prompts[0]) if metrics else []
        if len(entries) < 2:
            continue
        prefix = f"cat-{evaluation}-{place}"
        titles = {name: metric_in(evaluation, name).label for name in metrics}
        shown = small_together(scores, entries)
        figure = category_dots(shown, prompts, titles, colours(prompts), prefix)
        if figure:
            figures.append((name, figure))
    return figures


def _by_category(evaluation: str, rows: Sequence[tuple[str, Row]]) -> tuple[str, ...]:
    """The two metrics that are shown by category, or the one that there is."""
    present = dict.fromkeys(metric for _, row in rows for metric in row.metrics)
    if "mc1" in present:
        judged = "true_and_informative" in present
        return ("mc1", "true_and_informative" if judged else "mc2")
    return tuple(shares(evaluation, list(present))[:2])


def _category_scores(
    rows: Sequence[tuple[str, Row]], metrics: tuple[str, ...]
) -> dict[str, Scores]:
    """Scores by category, metric and prompt, the mean of each case over the wordings of a prompt."""
    each: dict[tuple[str, str, str, str], list[float]] = {}
    for prompt, row in rows:
        for metric in metrics if row.category else ():
            score = row.metrics.get(metric)
            if isinstance(score, float):
                each.setdefault((row.category, metric, prompt, row.case), []).append(score)
    scores: dict[str, Scores] = {}
    for (category, metric, prompt, case), values in each.items():
        of = scores.setdefault(category, {}).setdefault(metric, {}).setdefault(prompt, {})
        of[case] = sum(values) / len(values)
    return scores
