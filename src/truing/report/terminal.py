"""The report in the terminal: comparison, costs and findings, at home in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from truing.report.quantities import costs_table
from truing.report.sections import Cell, comparison
from truing.report.sentences import Finding
from truing.report.summary import Summary

_MEASURE, _CANDIDATE = 18, 15
"""Characters of the comparison's columns."""
EFFECT_STYLES = {"gain": "bold green", "loss": "bold red", "moved": "bold", "": "dim"}
"""How a change is printed."""
_TONES = {
    "gain": ("✓", "green"),
    "mixed": ("±", "yellow"),
    "none": ("○", "yellow"),
    "loss": ("✗", "red"),
    "warning": ("!", "bold yellow"),
    "note": ("·", "dim"),
}


def _cell(cell: Cell) -> Text:
    """Value and difference on one line, the value's interval on the next."""
    text = Text(cell.value, no_wrap=True)
    if cell.difference:
        text.append(f" {cell.mark or ' '}{cell.difference}", style=EFFECT_STYLES[cell.effect])
    if cell.interval:
        text.append(f"\n{cell.interval}", style="dim")
    if cell.unscored:
        text.append(f"\n{cell.unscored} unscored", style="yellow")
    if cell.partial:
        text.append(f"\n{cell.partial} asked", style="yellow")
    return text


def comparison_table(summary: Summary, names: Sequence[str]) -> Table:
    """Metrics down, candidates across."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("measure", header_style="dim", max_width=_MEASURE)
    for name in names:
        table.add_column(name, header_style="bold")
    groups = comparison(summary)
    for title, lines in groups:
        table.add_row(Text(title.split(",")[0], style="italic dim"))
        for line in lines:
            last = line is lines[-1]
            cells = [_cell(cell) for cell in line.cells if cell.candidate in names]
            table.add_row(line.metric.brief, *cells, end_section=last)
    return table


def _beside(names: Sequence[str], width: int) -> list[Sequence[str]]:
    """Candidates by the table that they stand in: as many beside each other as there is room for."""
    most = max(1, (width - _MEASURE) // _CANDIDATE)
    return [names[start : start + most] for start in range(0, len(names), most)]


def printed_costs(summary: Summary) -> Table | None:
    """What each method took, or None where nothing was recorded."""
    costs = costs_table(summary.run.part("costs"))
    if not costs["rows"]:
        return None
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column("costs", header_style="dim")
    for title in costs["columns"]:
        table.add_column(title.lower(), justify="right", header_style="bold")
    for name, cells in costs["rows"]:
        table.add_row(name, *cells, style="bold" if name == "total" else "")
    return table


def finding_line(finding: Finding) -> Table:
    """A mark and a sentence that wraps under itself."""
    sign, style = _TONES[finding.tone]
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column(ratio=1)
    grid.add_row(Text(sign, style=style), Text(finding.text))
    return grid


def show(summary: Summary, console: Console) -> None:
    """Print the report. Colour only where the console has it; marks and signs carry the sense."""
    model = summary.run.part("model").get("name") or "unnamed model"
    console.print()
    console.print(Text(f"{model}: what each method gained, cost and broke", style="bold"))
    console.print()
    if summary.measured.listed():
        for names in _beside(summary.measured.names, console.width):
            console.print(comparison_table(summary, names))
            if names[-1] != summary.measured.names[-1]:
                console.print()
        note = "[95 % interval]  ▲▼ paired difference to base beyond noise; no mark: within it"
        console.print(Text(note, style="dim"))
        console.print()
    costs = printed_costs(summary)
    if costs is not None:
        console.print(costs)
        console.print()
    console.print(Padding(Group(*map(finding_line, summary.findings)), (0, 0, 1, 0)))
