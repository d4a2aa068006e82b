"""What `truing eval` shows: a table for the terminal, and one page with bars, sizes and categories."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truing.evaluate.sweep import METRICS, Line, SweepResult
from truing.models.precision import computed_in
from truing.report.categories import CategoryFigures, category_dots
from truing.report.figures import WIDE, Figure, both
from truing.report.free import judges_in_words, judges_table
from truing.report.html import render_page
from truing.report.metrics import EVALUATION_TITLES, interval, metric_of, number
from truing.report.quantities import count, quantity
from truing.report.svg import Canvas, Scale
from truing.types import Estimate, Row

_PALETTE = ("c-sft", "c-prompt", "c-rl", "c-other1", "c-other2", "c-other3", "c-base", "c-reward")
_TITLES = {**EVALUATION_TITLES, "truthfulness": "Truthfulness", "trivia": "Control questions"}


SCORED = {
    "tree": "likelihoods, questions together",
    "alone": "likelihoods, each answer alone",
    "log-probabilities": "likelihoods that the server gives; its weights are unknown",
    "letters": "lettered choices in every order, by chat; its weights are unknown",
}
"""How a model was scored, in words."""


def _by_letters(result: SweepResult) -> str:
    """What to say of models that weren't scored by likelihood; empty where all were."""
    names = [name for name, about in result.models.items() if about["scored"] == "letters"]
    if not names:
        return ""
    return (
        f"{', '.join(names)}: lettered choices in every order, no likelihoods. MC1 and binary are the "
        "shares of orders in which the true answer was taken; compare them with their like alone."
    )


def _colours(names: Sequence[str]) -> Callable[[str], str]:
    """A style-sheet class for each name, by its place, so that neighbours differ."""
    places = {name: place for place, name in enumerate(names)}
    return lambda name: _PALETTE[places[name] % len(_PALETTE)]


def _short(name: str) -> str:
    """A name for narrow places: the end of a path says most."""
    return name if len(name) <= 26 else "…" + name[-25:]


def show(result: SweepResult, console: Console) -> None:
    """Print one line for each candidate and prompt; free answers in a table of their own."""
    for evaluation, asked in result.asked.items():
        console.print()
        console.print(
            Text(f"{_TITLES[evaluation]}: {len(asked.cases)} questions, {asked.source}", "bold")
        )
        metrics = result.metrics(evaluation)
        for some in (metrics[: len(METRICS)], metrics[len(METRICS) :]):
            if some:  # six columns with intervals are more than a terminal is wide
                console.print(_table(_of(result, evaluation), some))
    console.print(Text("[95 % interval, questions resampled]", style="dim"))
    if said := _by_letters(result):
        console.print(Text(said, style="yellow"))
    for sentence in judges_in_words(result.free) if result.spec.free else ():
        console.print(Text(sentence, style="dim"))


def _table(lines: Sequence[Line], metrics: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("candidate", header_style="dim", overflow="fold")
    table.add_column("prompt", header_style="dim", overflow="fold")
    for metric in metrics:
        table.add_column(metric_of("truthfulness", metric).label, header_style="bold")
    for name, group in groupby(lines, key=lambda line: line.candidate):
        for place, line in enumerate(group):
            cells = [_cell(line.metrics[metric]) for metric in metrics]
            table.add_row(Text(name if place == 0 else ""), Text(line.prompt), *cells)
    return table


def _cell(estimate: Estimate) -> Text:
    text = Text(number(estimate.value), no_wrap=True)
    if found := interval(estimate):
        text.append(f"\n{found}", style="dim")
    if estimate.unscored:
        text.append(f"\n{estimate.unscored} unscored", style="yellow")
    return text


def _of(result: SweepResult, evaluation: str) -> list[Line]:
    return [line for line in result.lines if line.evaluation == evaluation]


def page(result: SweepResult, command: str) -> str:
    """The page. Equal results give equal bytes: nothing here reads a clock."""
    names = list(result.models)
    sections = []
    for evaluation, asked in result.asked.items():
        lines = _of(result, evaluation)
        sections.append(
            {
                "key": evaluation,
                "title": _TITLES[evaluation],
                "about": f"{len(asked.cases)} questions from {asked.source}",
                "bars": _bars(lines, names, evaluation),
                "columns": [
                    metric_of("truthfulness", metric).label for metric in result.metrics(evaluation)
                ],
                "rows": [
                    (
                        line.candidate,
                        line.prompt,
                        [(number(e.value), interval(e), e.unscored) for e in line.metrics.values()],
                    )
                    for line in lines
                ],
                "sizes": _sizes(result, lines, evaluation),
                "categories": _categories(result, evaluation),
            }
        )
    prompts = [wording.name for wording in result.prompts]
    context: dict[str, Any] = {
        "sections": sections,
        "judges": judges_table(result.free) if result.spec.free else None,
        "names": names,
        "colour_of": _colours(names),
        "prompts": prompts,
        "prompt_colour": _colours(prompts),
        "wordings": [(w.name, _said(w.template, w.prompt)) for w in result.prompts],
        "models": [
            (
                name,
                quantity(about["parameters"]),
                about["architecture"],
                about["weights"][:16],
                SCORED[about["scored"]],
            )
            for name, about in result.models.items()
        ],
        "by_letters": _by_letters(result),
        "command": command,
        "facts": [
            ("Precision", computed_in(result.spec.dtype)),
            ("Form", result.spec.form),
            ("Seed of the intervals", str(result.spec.seed)),
        ],
    }
    return render_page("truing.report", "sweep.html.j2", context)


def _said(template: str, prompt: Any) -> str:
    if template:
        return template
    return "The candidate's own prompt." if prompt is None else prompt.instruction or "Nothing."


def _bars(lines: Sequence[Line], names: Sequence[str], evaluation: str) -> Figure:
    """A group of bars for each prompt, a bar for each candidate, a panel for each metric."""
    by_prompt = {
        prompt: [line for line in lines if line.prompt == prompt]
        for prompt in dict.fromkeys(line.prompt for line in lines)
    }
    colour = _colours(names)
    bar, air = 15, 26

    def draw(width: int, key: str) -> Canvas:
        wide = width == WIDE
        label = 120 if wide else 8
        panels = METRICS if wide else METRICS[:1]
        height = 34 + sum(len(group) * bar + air for group in by_prompt.values()) + 28
        about = f"Bars of {', '.join(panels)} by prompt; the figures stand in the table."
        canvas = Canvas(width, height, "Results by prompt", about, f"bars-{evaluation}-{key}")
        panel = (width - label - 60 - 40 * (len(panels) - 1)) / len(panels)
        scales = []
        for place, metric in enumerate(panels):
            left = label + place * (panel + 40)
            scales.append(Scale(0.0, 1.0, left, left + panel))
            canvas.text(left, 18, metric_of("truthfulness", metric).label, "label")
            canvas.x_axis(scales[-1], 28, height - 28, 4)
        y = 40.0
        for prompt, group in by_prompt.items():
            if wide:
                middle = y + len(group) * bar / 2 + 4
                canvas.text(label - 14, middle, _short(prompt), "cat", "end")
            else:
                canvas.text(label, y - 3, prompt, "cat")
            for line in group:
                for metric, scale in zip(panels, scales, strict=True):
                    _bar(canvas, scale, line.metrics[metric], y, bar - 3, colour(line.candidate))
                y += bar
            y += air
        return canvas

    return both(draw)


def _bar(
    canvas: Canvas, scale: Scale, estimate: Estimate, y: float, height: float, css: str
) -> None:
    if estimate.value is None:
        canvas.text(scale.start + 4, y + height - 2, "unscored", "tick")
        return
    canvas.rect(scale.start, y, scale(estimate.value) - scale.start, height, f"bar {css}")
    if estimate.low is not None and estimate.high is not None:
        middle = y + height / 2
        canvas.line(scale(estimate.low), middle, scale(estimate.high), middle, "range")


def _sizes(result: SweepResult, lines: Sequence[Line], evaluation: str) -> Figure | None:
    """MC1 against the number of parameters, a line for each prompt; None for one size."""
    known = {name: about["parameters"] for name, about in result.models.items()}
    sizes = {name: math.log10(number) for name, number in known.items() if number}
    if len(set(sizes.values())) < 2:
        return None
    prompts = [wording.name for wording in result.prompts]
    colour = _colours(prompts)

    def draw(width: int, key: str) -> Canvas:
        height, left, right = 300, 44, width - 20
        about = "MC1 against model size, by prompt; the figures stand in the table."
        canvas = Canvas(width, height, "Model size", about, f"sizes-{evaluation}-{key}")
        x = Scale(min(sizes.values()) - 0.1, max(sizes.values()) + 0.1, left, right)
        y = Scale(0.0, 1.0, height - 40.0, 14.0)
        canvas.y_axis(y, left, right)
        for size in sorted(set(sizes.values())):
            canvas.text(x(size), height - 20, count(round(10**size)), "tick", "middle")
        for prompt in prompts:
            points = sorted(
                (x(sizes[line.candidate]), y(line.metrics["mc1"].value), line.candidate)
                for line in lines
                if line.prompt == prompt
                and line.candidate in sizes
                and line.metrics["mc1"].value is not None
            )
            canvas.path([(px, py) for px, py, _ in points], f"curve {colour(prompt)}")
            for px, py, name in points:
                canvas.marker(px, py, colour(prompt), f"{name}, {prompt}", 4.2)
        return canvas

    return both(draw)


def _categories(result: SweepResult, evaluation: str) -> list[tuple[str, Figure]]:
    """For each candidate, a dot for each prompt in each category; nothing without categories."""
    prompts = tuple(wording.name for wording in result.prompts)
    figures = []
    for place, name in enumerate(result.models):
        rows = [
            (prompt, row)
            for prompt, row in result.rows
            if row.candidate == name and row.evaluation == evaluation
        ]
        entries = _category_figures(rows, prompts)
        if len(entries) < 2:
            continue
        prefix = f"cat-{evaluation}-{place}"
        figure = category_dots(entries, prompts, ("mc1", "mc2"), _colours(prompts), prefix)
        if figure:
            figures.append((name, figure))
    return figures


def _category_figures(
    rows: Sequence[tuple[str, Row]], prompts: Sequence[str]
) -> list[CategoryFigures]:
    """Means of MC1 and MC2 in each category, hardest for the first prompt first."""
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    for prompt, row in rows:
        if not row.category:
            continue
        cell = values.setdefault(row.category, {})
        for metric in ("mc1", "mc2"):
            score = row.metrics[metric]
            if isinstance(score, float):
                cell.setdefault(metric, {}).setdefault(prompt, []).append(score)
    entries = [
        CategoryFigures(
            category,
            max((len(v) for by in cell.values() for v in by.values()), default=0),
            {metric: {p: sum(v) / len(v) for p, v in by.items()} for metric, by in cell.items()},
        )
        for category, cell in values.items()
    ]
    return sorted(entries, key=lambda e: (_first(e.means, prompts), e.category))


def _first(means: Mapping[str, Mapping[str, float]], prompts: Sequence[str]) -> float:
    return means.get("mc1", {}).get(prompts[0], 1.0)
