"""What `truing eval` shows: a table for the terminal, and one page with figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truing.evaluate.refusals import REFUSALS
from truing.evaluate.sweep.answers_shown import answers, column_colour
from truing.evaluate.sweep.figures import (
    bars,
    categories,
    choice_panels,
    judged_panels,
    share_panels,
    sizes,
)
from truing.evaluate.sweep.judges_shown import judges_in_words, judges_table
from truing.evaluate.sweep.opinions_shown import opinion_sentences, opinions_of
from truing.evaluate.sweep.result import Line, SweepResult
from truing.evaluate.sweep.shown import (
    CHOICE,
    SCORED,
    TITLES,
    asked_of,
    by_letters,
    colours,
    crosses,
    labels,
    metric_in,
    metrics_in,
    on_outcomes,
    remark,
    shown_lines,
)
from truing.evaluate.sweep.spread import context, show_spread
from truing.evaluate.sweep.tables import table, together
from truing.evaluate.sweep.verdict import Change, Place, cards, changes, counted, verdict
from truing.judges.graded import JUDGED
from truing.models.precision import computed_in
from truing.prompts.variants import PromptVariant
from truing.report.categories import FEW
from truing.report.html import render_page
from truing.report.metrics import DASH, interval, number
from truing.report.quantities import quantity
from truing.types import Estimate, Unit

_ABREAST = 3  # columns with intervals: six are more than a terminal is wide


def show(result: SweepResult, console: Console) -> None:
    """Print one line for each candidate and prompt, and what the wording does where there are many."""
    for sentence in opinion_sentences(result):
        console.print(Text(sentence, "bold"))
    for evaluation, questions in result.asked.items():
        lines = shown_lines(result, evaluation)
        metrics = metrics_in(lines)
        console.print()
        console.print(
            Text(
                f"{TITLES[evaluation]}: {questions.about}",
                "bold",
            )
        )
        for start in range(0, len(metrics), _ABREAST):
            some = metrics[start : start + _ABREAST]
            console.print(_columns(evaluation, lines, some, len(questions.cases)))
    for sensitivity in result.sensitivities:
        show_spread(sensitivity, console)
    footnote = "[95 % interval, questions resampled"
    footnote += "; of many wordings, wordings and questions" if result.sensitivities else ""
    footnote += "; of attacks, for other wordings and items]" if crosses(result) else "]"
    console.print(Text(footnote, style="dim"))
    if letters := by_letters(result):
        console.print(Text(letters, style="yellow"))
    if sentence := on_outcomes(result):
        console.print(Text(sentence, style="yellow"))
    for sentence in judges_in_words(result.open_ended) if result.spec.free else ():
        console.print(Text(sentence, "yellow" if sentence.startswith("Warning") else "dim"))
    for sentence in result.judge_lines():
        console.print(Text(sentence, "yellow" if sentence.startswith("Warning") else "dim"))


def _columns(evaluation: str, lines: Sequence[Line], metrics: Sequence[str], asked: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("candidate", header_style="dim", overflow="fold")
    table.add_column("prompt", header_style="dim", overflow="fold")
    for metric in metrics:
        table.add_column(metric_in(evaluation, metric).label, header_style="bold")
    for name, group in groupby(lines, key=lambda line: line.candidate):
        for place, line in enumerate(group):
            cells = [
                _cell(
                    line.metrics.get(metric),
                    metric_in(evaluation, metric).unit,
                    asked_of(metric_in(evaluation, metric), asked),
                )
                for metric in metrics
            ]
            table.add_row(Text(name if place == 0 else ""), Text(line.prompt), *cells)
    return table


def _cell(estimate: Estimate | None, unit: Unit, asked: int) -> Text:
    text = Text(DASH if estimate is None else number(estimate.value, unit), no_wrap=True)
    if estimate is None:
        return text
    if limits := interval(estimate, unit):
        text.append(f"\n{limits}", style="dim")
    if said := remark(estimate, asked):
        text.append(f"\n{said}", style="yellow")
    return text


def page(result: SweepResult, command: str) -> str:
    """The page. Equal results give equal bytes: nothing here reads a clock."""
    names = list(result.models)
    colour = colours(names)
    prompts = list(dict.fromkeys(labels(result).values()))
    found = changes(result)
    values: dict[str, Any] = {
        "counted": counted(result),
        "verdict": verdict(result, found),
        "cards": cards(result, found),
        "compared": bool(found),
        "answers": answers(result),
        "column_colour": column_colour(result),
        "sections": [_section(result, evaluation, found) for evaluation in result.asked],
        "together": together(result),
        "opinions": opinions_of(result),
        "sizes": sizes(result),
        "judges": judges_table(result.open_ended) if result.spec.free else None,
        "spreads": [
            context(sensitivity, names, colour, f"s{place}")
            for place, sensitivity in enumerate(result.sensitivities)
        ],
        "few": FEW,
        "names": names,
        "colour_of": colour,
        "prompts": prompts,
        "prompt_colour": colours(prompts),
        "wordings": _variants(result),
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
        "by_letters": by_letters(result),
        "judge_lines": result.judge_lines(),
        **_measured(result),
        "command": command,
        "facts": [
            ("Precision", computed_in(result.spec.dtype)),
            ("Form", result.spec.form),
            ("Seed of the intervals", str(result.spec.seed)),
        ],
    }
    return render_page("truing.evaluate.sweep", "page.html.j2", values)


def _measured(result: SweepResult) -> dict[str, Any]:
    """Whether given answers are chosen between, and what else is measured: each metric with its note."""
    there = {name: metrics_in(shown_lines(result, name)) for name in result.asked}
    others = [
        metric_in(name, metric)
        for name, metrics in there.items()
        for metric in metrics
        if metric not in (*CHOICE, *JUDGED)
    ]
    return {
        "chooses": any(metric in CHOICE for metrics in there.values() for metric in metrics),
        "others": [(metric.label, metric.note) for metric in others],
        "titles": [TITLES[name] for name in result.asked],
    }


def _section(result: SweepResult, evaluation: str, found: Mapping[Place, Change]) -> dict[str, Any]:
    """One evaluation: bars, the table of all prompts, figures by category."""
    questions, lines = result.asked[evaluation], shown_lines(result, evaluation)
    colour = colours(list(result.models))
    every = [line for line in result.lines if line.evaluation == evaluation]
    metrics = metrics_in(every)
    return {
        "key": evaluation,
        "title": TITLES[evaluation],
        "about": questions.about,
        "bars": [
            figure
            for key, panels in (
                ("choice", choice_panels(lines)),
                ("judged", judged_panels(lines)),
                ("share", share_panels(evaluation, lines)),
            )
            if (figure := bars(panels, colour, f"bars-{key}-{evaluation}"))
        ],
        "columns": [metric_in(evaluation, metric).label for metric in metrics],
        "rows": table(lines, metrics, len(questions.cases), found),
        "every": table(every, metrics, len(questions.cases), {}) if len(every) > len(lines) else [],
        "categories": categories(result, evaluation),
        "judge": on_outcomes(result) if evaluation == REFUSALS.name else "",
        "uncategorised": sum(not case.category for case in questions.cases),
    }


def _variants(result: SweepResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """What each prompt says, by what it is shown as."""
    label_of = labels(result)
    texts: dict[str, list[tuple[str, str]]] = {}
    for variant in result.prompts:
        texts.setdefault(label_of[variant.name], []).append((variant.name, _said(variant)))
    return list(texts.items())


def _said(variant: PromptVariant) -> str:
    if variant.template:
        return variant.template
    if variant.prompt is None:
        return "The candidate's own prompt."
    return variant.prompt.instruction or "Nothing."
