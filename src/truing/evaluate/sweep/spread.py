"""How much the wording matters: figures, table and sentences for page and terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truing.evaluate import EVALUATIONS
from truing.evaluate.sweep.sensitivity import Ordering, Sensitivity, Spreading
from truing.evaluate.sweep.shown import TITLES, metric_in
from truing.report.figures import WIDE, Figure, both
from truing.report.metrics import DASH, interval, number
from truing.report.svg import Canvas, Scale, domain, short
from truing.statistics.crossed import Extreme
from truing.types import Metric

COLUMNS = ("Mean", "Standard deviation", "Worst", "Best", "Best, chosen elsewhere")
_SHOWN = ("mc1", "mc2", "true_and_informative")


def label(sensitivity: Sensitivity, metric: str) -> str:
    """The metric's name for people."""
    return metric_in(sensitivity.evaluation, metric).label


def _is_shown(sensitivity: Sensitivity, metric: str) -> bool:
    return metric in _SHOWN or metric in EVALUATIONS[sensitivity.evaluation].headline


def sentences(sensitivity: Sensitivity) -> list[str]:
    """Whether the order of two candidates depends on the wording, for the metrics that are shown."""
    return [
        o.sentence(label(sensitivity, o.metric))
        for o in sensitivity.orders
        if _is_shown(sensitivity, o.metric)
    ]


def title(sensitivity: Sensitivity) -> str:
    """'Wordings of helpful: Truthfulness'."""
    count = len(sensitivity.variants)
    return f"{TITLES[sensitivity.evaluation]} under {count} wordings of {sensitivity.family}"


def _end(sensitivity: Sensitivity, spreading: Spreading, end: Extreme) -> tuple[str, str]:
    """A figure with its wording, and its interval over questions."""
    variant, unit = (
        sensitivity.variants[end.place],
        metric_in(sensitivity.evaluation, spreading.metric).unit,
    )
    return f"{number(end.value, unit)} {variant}", interval(spreading.lines[variant], unit)


def cells(sensitivity: Sensitivity, spreading: Spreading) -> list[tuple[str, str]]:
    """A row of the table: (figure, what stands small beside it) for each of COLUMNS."""
    spread, unit = spreading.spread, metric_in(sensitivity.evaluation, spreading.metric).unit
    elsewhere = spread.best.elsewhere
    return [
        (number(spread.mean.value, unit), interval(spread.mean, unit)),
        (number(spread.deviation.value, unit), interval(spread.deviation, unit)),
        _end(sensitivity, spreading, spread.worst),
        _end(sensitivity, spreading, spread.best),
        (
            DASH if elsewhere is None else number(elsewhere, unit),
            f"best again in {spread.best.again:.0%}",
        ),
    ]


def show_spread(sensitivity: Sensitivity, console: Console) -> None:
    """Print a line for each candidate and metric, and what follows for the order of candidates."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in ("candidate", "metric"):
        table.add_column(name, header_style="dim", overflow="fold")
    for name in COLUMNS:
        table.add_column(name, header_style="bold", overflow="fold")
    for spreading in sensitivity.spreads:
        row = [
            Text.assemble(value, ("\n" + small if small else "", "dim"))
            for value, small in cells(sensitivity, spreading)
        ]
        table.add_row(Text(spreading.candidate), Text(label(sensitivity, spreading.metric)), *row)
    console.print()
    console.print(Text(title(sensitivity), "bold"))
    console.print(table)
    for sentence in sentences(sensitivity):
        console.print(Text(sentence))


def context(
    sensitivity: Sensitivity, names: Sequence[str], colour: Callable[[str], str], key: str
) -> dict[str, Any]:
    """What the page's template needs."""
    return {
        "key": key,
        "title": title(sensitivity),
        "strip": strip(sensitivity, names, colour, key),
        "columns": COLUMNS,
        "rows": [
            (s.candidate, label(sensitivity, s.metric), cells(sensitivity, s))
            for s in sensitivity.spreads
        ],
        "sentences": sentences(sensitivity),
        "orders": [
            (
                f"{o.first} − {o.second}, {label(sensitivity, o.metric)}",
                forest(sensitivity, o, f"{key}-{place}"),
            )
            for place, o in enumerate(sensitivity.orders)
            if _is_shown(sensitivity, o.metric)
        ],
    }


def strip(
    sensitivity: Sensitivity, names: Sequence[str], colour: Callable[[str], str], key: str
) -> Figure:
    """A dot for each wording, a row for each candidate, a panel for each metric."""
    present = list(dict.fromkeys(s.metric for s in sensitivity.spreads))
    metrics = [m for m in present if _is_shown(sensitivity, m)] or present
    rows = [name for name in names if any(s.candidate == name for s in sensitivity.spreads)]
    of = {(s.candidate, s.metric): s for s in sensitivity.spreads}
    about = "A dot for each wording; the bar is the mean with its interval. Figures in the table."

    def draw(width: int, at: str) -> Canvas:
        wide = width == WIDE
        side, row = (150.0, 44.0) if wide else (8.0, 58.0)
        columns = len(metrics) if wide else 1
        high = row * len(rows) + 66
        total = int(high * (len(metrics) // columns))
        canvas = Canvas(width, total, "Spread across wordings", about, f"strip-{key}-{at}")
        across = (width - side - 14 - 36 * (columns - 1)) / columns
        for place, metric in enumerate(metrics):
            left = side + (place % columns) * (across + 36)
            top = (place // columns) * high
            spreadings = [of[name, metric] for name in rows if (name, metric) in of]
            of_metric = metric_in(sensitivity.evaluation, metric)
            scale = Scale(*_domain(spreadings, of_metric), left, left + across)
            canvas.text(left, top + 18, label(sensitivity, metric), "label")
            canvas.x_axis(scale, top + 28, top + high - 30, 4)
            for line, name in enumerate(rows):
                y = top + 36 + row * (line + (0.5 if wide else 0.62))
                if wide and place == 0:
                    canvas.text(side - 14, y + 4, short(name, 22), "cat", "end")
                elif not wide:
                    canvas.text(side, y - 20, short(name, 46), "cat")
                if (name, metric) in of:
                    _dots(canvas, sensitivity, of[name, metric], scale, y, colour(name))
        return canvas

    return both(draw)


def _domain(spreadings: Sequence[Spreading], metric: Metric) -> tuple[float, float]:
    ends = [
        value
        for s in spreadings
        for value in (s.spread.best.value, s.spread.worst.value, s.spread.mean.low or 0.0,
                      s.spread.mean.high or 0.0)
    ]  # fmt: skip
    low, high = domain(ends)
    return (low, high) if metric.least is None else (max(metric.least, low), min(1.0, high))


def _dots(
    canvas: Canvas, sensitivity: Sensitivity, spreading: Spreading, scale: Scale, y: float, css: str
) -> None:
    mean = spreading.spread.mean
    if mean.low is not None and mean.high is not None and mean.value is not None:
        wide = scale(mean.high) - scale(mean.low)
        canvas.rect(scale(mean.low), y - 3, wide, 6, f"bar pale {css}")
        canvas.line(scale(mean.value), y - 10, scale(mean.value), y + 10, "range")
    for place, variant in enumerate(sensitivity.variants):
        value = spreading.lines[variant].value
        if value is not None:
            aside = (place * 7 % 5 - 2) * 3.2  # so that equal scores can be told apart
            canvas.marker(scale(value), y + aside, css, f"{variant}: {number(value)}", 3.2)


def forest(sensitivity: Sensitivity, ordering: Ordering, key: str) -> Figure:
    """The difference of two candidates under each wording with simultaneous intervals, sorted."""
    pairs = list(zip(sensitivity.variants, ordering.order.differences, strict=True))
    pairs.sort(key=lambda pair: -(pair[1].value or 0.0))
    ends = [v for _, d in pairs for v in (d.low, d.high) if v is not None]
    about = f"{ordering.first} minus {ordering.second} under each wording."

    def draw(width: int, at: str) -> Canvas:
        row = 17
        side = 200.0 if width == WIDE else 110.0
        canvas = Canvas(
            width, row * len(pairs) + 40, "Difference by wording", about, f"forest-{key}-{at}"
        )
        scale = Scale(*domain([0.0, *ends]), side, width - 20.0)
        canvas.x_axis(scale, 6, row * len(pairs) + 12, 4)
        for place, (variant, difference) in enumerate(pairs):
            y = 16.0 + row * place
            canvas.text(side - 12, y + 4, short(variant, 26 if width == WIDE else 15), "cat", "end")
            if None in (difference.low, difference.high, difference.value):
                continue
            assert difference.low is not None and difference.high is not None
            css = "c-sft" if difference.low > 0 else "c-other2" if difference.high < 0 else "c-base"
            canvas.line(scale(difference.low), y, scale(difference.high), y, f"whisker {css}")
            hint = f"{variant}: {number(difference.value, sign=True)} {interval(difference)}"
            canvas.marker(scale(difference.value or 0.0), y, css, hint, 4)
        return canvas

    return both(draw)
