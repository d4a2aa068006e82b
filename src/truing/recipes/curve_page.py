"""The learning curve of a fine-tuning against the number of demonstrations: in words, as a table for
the terminal and as a page. All from the document alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truing.evaluate.multiple_choice import COMPARED_BY, CONFIRMED_BY
from truing.report.figures import Figure, both
from truing.report.html import render_page
from truing.report.sentences import joined
from truing.report.svg import Canvas, Scale, domain

LOSS = "held_out_loss"
METRICS = (*CONFIRMED_BY, LOSS)
_FIRST = (COMPARED_BY, LOSS)
"""What is spoken of and printed; the others are on the page."""
_TITLES = {**{name: name.upper() for name in CONFIRMED_BY}, LOSS: "held-out loss"}
_COLOURS = {**dict.fromkeys(CONFIRMED_BY, "c-prompt"), COMPARED_BY: "c-sft", LOSS: "c-rl"}
Document = Mapping[str, Any]


def _value(estimate: Document, *, sign: bool = False) -> str:
    if estimate["value"] is None:
        return "–"
    return f"{estimate['value']:{'+' if sign else ''}.3f}"


def _interval(estimate: Document, *, sign: bool = False) -> str:
    if estimate["low"] is None:
        return ""  # of a lone question, or a lone group of held-out demonstrations
    form = "+.3f" if sign else ".3f"
    return f"[{estimate['low']:{form}}, {estimate['high']:{form}}]"


def _better(name: str, gain: Document) -> bool:
    """Whether a step gained beyond noise; of the loss, less is more."""
    if gain["low"] is None:
        return False
    return bool(gain["high"] < 0 if name == LOSS else gain["low"] > 0)


def _hours(point: Document) -> str:
    if point["hours"] is None:
        return ""
    hours = point["hours"]
    return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.1f} h"


def verdicts(document: Document) -> list[str]:
    """For the finest metric and the held-out loss: up to where more demonstrations gained beyond noise."""
    said: list[str] = []
    points = document["points"]
    for name in _FIRST:
        title = _TITLES[name][0].upper() + _TITLES[name][1:]
        if document["base"][name]["value"] is None:
            continue
        gained = [place for place, each in enumerate(points) if _better(name, each["gain"][name])]
        if not gained:
            last = points[-1]
            over = last["over_base"][name]
            if over["low"] is None:
                said.append(
                    f"{title}: measured on {over['n']} alone, which tells no noise from gain."
                )
                continue
            whole = "beyond" if _better(name, over) else "within"
            said.append(
                f"{title}: no single step gained beyond noise; all {last['n']:,} demonstrations "
                f"changed it by {_value(over, sign=True)} {_interval(over, sign=True)}, {whole} noise."
            )
            continue
        place = gained[-1]
        here = points[place]
        text = f"{title}: more demonstrations gained beyond noise up to {here['n']:,}"
        if place + 1 < len(points):
            later = points[place + 1]
            gain = later["gain"][name]
            text += (
                f"; the step to {later['n']:,} changed it by {_value(gain, sign=True)} "
                f"{_interval(gain, sign=True)}, within noise or for the worse"
            )
        else:
            text += ", the most there were: more may gain more"
        said.append(f"{text}.")
    return said


def show(document: Document, console: Console) -> None:
    """Print the curve as a table that fits 80 columns (the rest is on the page), and what it says."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("n", justify="right")
    timed = document["seconds_per_label"] is not None
    if timed:
        table.add_column("work", justify="right")
    for name in _FIRST:
        table.add_column(_TITLES[name])
        table.add_column("over the last", header_style="dim")
    for point in ({"n": 0, "hours": None, **document["base"]}, *document["points"]):
        cells = [Text(f"{point['n']:,}")] + ([Text(_hours(point))] if timed else [])
        for name in _FIRST:
            cells.append(Text(f"{_value(point[name])}\n{_interval(point[name])}"))
            gain = point["gain"][name] if "gain" in point else None
            text = (
                "" if gain is None else f"{_value(gain, sign=True)}\n{_interval(gain, sign=True)}"
            )
            cells.append(Text(text, style="dim"))
        table.add_row(*cells)
    console.print(table)
    legend = "[95 % interval, questions resampled] n: demonstrations; loss in nats per token"
    console.print(Text(legend + ("; work: people's time" if timed else ""), style="dim"))
    for sentence in verdicts(document):
        console.print(Text(sentence))


def _curve(document: Document, name: str) -> Figure | None:
    """Means with intervals against log n, a dot for each seed, the base as a dashed line."""
    base = document["base"][name]
    points = [point for point in document["points"] if point[name]["value"] is not None]
    if base["value"] is None or not points:
        return None
    values = [base["value"]]
    for point in points:
        found = (*point["by_seed"][name], *(point[name][key] for key in ("value", "low", "high")))
        values += [value for value in found if value is not None]
    logs = [math.log10(point["n"]) for point in points]

    def draw(width: int, key: str) -> Canvas:
        height, left, right = 260, 52, width - 24
        about = (
            f"{_TITLES[name]} against the number of demonstrations; the figures stand in the table."
        )
        canvas = Canvas(width, height, _TITLES[name], about, f"curve-{name}-{key}")
        x = Scale(min(logs) - 0.1, max(logs) + 0.1, left, right)
        y = Scale(*domain(values, least=0.01), height - 46.0, 30.0)
        canvas.y_axis(y, left, right)
        unit = ", nats per token" if name == LOSS else ""
        canvas.text(left, 16, f"{_TITLES[name]}{unit}", "label")
        canvas.line(left, y(base["value"]), right, y(base["value"]), "curve dashed c-base")
        canvas.text(right, y(base["value"]) - 5, "base", "tick", "end")
        css = _COLOURS[name]
        for log, point in zip(logs, points, strict=True):
            canvas.text(x(log), height - 28, f"{point['n']:,}", "tick", "middle")
            if point[name]["low"] is not None:
                canvas.line(x(log), y(point[name]["low"]), x(log), y(point[name]["high"]), "range")
            for value in point["by_seed"][name] if len(document["seeds"]) > 1 else ():
                canvas.marker(x(log), y(value), "c-other1", f"one seed: {value:.3f}", 2.4)
        line = [(x(log), y(p[name]["value"])) for log, p in zip(logs, points, strict=True)]
        canvas.path(line, f"curve {css}")
        for (px, py), point in zip(line, points, strict=True):
            hint = f"{point['n']:,}: {_value(point[name])} {_interval(point[name])}"
            canvas.marker(px, py, css, hint, 4.5)
        canvas.text((left + right) / 2, height - 8, "demonstrations", "axis", "middle")
        return canvas

    return both(draw)


def _scored(document: Document, name: str) -> bool:
    return document["base"][name]["value"] is not None


def page(document: Document) -> str:
    """The page. Equal documents give equal bytes."""
    rows = []
    for point in ({"n": 0, "hours": None, **document["base"]}, *document["points"]):
        cells = []
        for name in METRICS:
            gain = point["gain"][name] if "gain" in point else None
            better = gain is not None and _better(name, gain)
            change = "" if gain is None else _value(gain, sign=True)
            around = "" if gain is None else _interval(gain, sign=True)
            cells.append((_value(point[name]), _interval(point[name]), change, around, better))
        rows.append((f"{point['n']:,}", _hours(point), cells))
    order = (*_FIRST, *(name for name in METRICS if name not in _FIRST))
    context = {
        "document": document,
        "verdicts": verdicts(document),
        "figures": [figure for name in order if (figure := _curve(document, name))],
        "asked": joined(
            [_TITLES[name] for name in CONFIRMED_BY if document["base"][name]["value"] is not None]
        ),
        "titles": [_TITLES[name] for name in METRICS],
        "rows": rows,
        "timed": document["seconds_per_label"] is not None,
    }
    return render_page("truing.recipes", "curve_page.html.j2", context)
