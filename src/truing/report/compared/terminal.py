"""Runs side by side in the terminal, at home in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from truing.report.compared.differences import ComparedCandidate, RunComparison
from truing.report.compared.page import Cell, cell, costs_of_runs, settings_table, stands_open
from truing.report.compared.words import remarks, verdicts
from truing.report.terminal import EFFECT_STYLES, finding_line
from truing.report.training.last import last_table
from truing.terminal.text import shortly
from truing.types import Metric

_MEASURE, _RUN, _SETTING = 20, 22, 24
"""Characters of a column of figures, of a run, and of a setting's value."""
_NOT_PAIRED = "*"


def show(comparison: RunComparison, console: Console) -> None:
    """Print figures, what differs in the settings, costs, and what it all says."""
    console.print()
    left_out = 0
    for candidate in comparison.candidates:
        metrics = [metric for metric in candidate.metrics() if stands_open(candidate, metric)]
        left_out += len(candidate.figures) - len(metrics)
        for labels in _beside(candidate, console.width):
            console.print(_figures(candidate, metrics, labels))
        console.print()
    if comparison.candidates:
        note = (
            "[95 % interval]  ▲▼ difference to the first run beyond noise; "
            f"{_NOT_PAIRED} not case by case"
        )
        console.print(Text(note, style="dim"))
        if left_out:
            rest = f"{left_out} more figures are within noise: --out FILE.html and --json have all"
            console.print(Text(rest, style="dim"))
        console.print()
    learned = [_last(comparison, name) for name in comparison.learned]
    for table in (_settings(comparison), *learned, _costs(comparison)):
        if table is not None:
            console.print(table)
            console.print()
    sentences = [finding_line(each) for each in (*verdicts(comparison), *remarks(comparison))]
    console.print(Padding(Group(*sentences), (0, 0, 1, 0)))


def _table(first: str, style: str = "dim") -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column(first, header_style=style, overflow="fold")
    return table


def _beside(candidate: ComparedCandidate, width: int) -> list[Sequence[str]]:
    """The runs by the table that they stand in; the reference begins each."""
    labels = [run.label for run in candidate.runs]
    most = max(1, (width - _MEASURE) // _RUN - 1)
    others = labels[1:]
    return [(labels[0], *others[start : start + most]) for start in range(0, len(others), most)]


def _figures(
    candidate: ComparedCandidate, metrics: Sequence[Metric], labels: Sequence[str]
) -> Table:
    table = _table(candidate.name, "bold")
    table.columns[0].max_width = _MEASURE
    for label in labels:
        table.add_column(Text(label), header_style="bold", overflow="fold")
    evaluation = ""
    for metric in metrics:
        if metric.evaluation != evaluation:
            evaluation = metric.evaluation
            title = candidate.task.title(evaluation).split(",")[0]
            table.add_row(Text(title, style="italic dim"))
        of = candidate.figures[evaluation, metric.name]
        cells = [_cell(cell(label, of.get(label), metric)) for label in labels]
        table.add_row(metric.brief, *cells)
    return table


def _cell(shown: Cell) -> Text:
    """Value and difference on one line, the value's interval on the next."""
    text = Text(shown.value, no_wrap=True)
    if shown.difference:
        star = "" if shown.paired else _NOT_PAIRED
        text.append(
            f" {shown.mark or ' '}{shown.difference}{star}", style=EFFECT_STYLES[shown.effect]
        )
    if shown.interval:
        text.append(f"\n{shown.interval}", style="dim")
    if shown.unscored:
        text.append(f"\n{shown.unscored} unscored", style="yellow")
    return text


def _settings(comparison: RunComparison) -> Table | None:
    rows = settings_table(comparison.runs)
    if not rows:
        return None
    table = _table("settings that differ")
    for run in comparison.runs:
        table.add_column(Text(run.label), header_style="bold", overflow="fold")
    for key, values in rows:
        table.add_row(key, *(Text(shortly(value, _SETTING)) for value in values))
    return table


def _last(comparison: RunComparison, name: str) -> Table:
    """How each run's training of a candidate stood at its end."""
    logs = [(run.label, run.logs[name]) for run in comparison.runs if name in run.logs]
    last = last_table(logs)
    table = _table(f"{name}, last steps of training")
    for title in last["columns"]:
        table.add_column(title, justify="right", header_style="bold")
    for label, cells in last["rows"]:
        table.add_row(Text(label), *(Text(each, no_wrap=True) for each in cells))
    return table


def _costs(comparison: RunComparison) -> Table | None:
    """What each run took in all; each candidate's part is on the page."""
    costs = costs_of_runs(comparison.runs)
    rows = [(label, cells) for name, label, cells in costs["rows"] if name == "total"]
    if not rows:
        return None
    table = _table("costs")
    for title in costs["columns"]:
        table.add_column(title.lower(), justify="right", header_style="bold")
    for label, cells in rows:
        table.add_row(Text(label), *(Text(each, no_wrap=True) for each in cells))
    return table
