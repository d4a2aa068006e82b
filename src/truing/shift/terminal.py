"""A comparison in the terminal, at home in 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from truing.people.vocabulary import USE_CASES
from truing.shift.page import percent
from truing.shift.results import findings, verdict
from truing.shift.study import Study
from truing.shift.use_cases import INSTRUCTGPT
from truing.terminal.text import shortly

_LISTED = 3


def _grid(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    table.add_column(titles[0], header_style="dim")
    for title in titles[1:]:
        table.add_column(title, justify="right", header_style="bold")
    return table


def show(study: Study, console: Console) -> None:
    """Print verdict, tables and a few prompts."""
    train, target = study.described
    console.print()
    console.print(Text(verdict(study), style="bold"))
    console.print()
    table = _grid("use case, %", "training", "target", "InstructGPT")
    for name, title in USE_CASES.items():
        shares = (train.use_cases[name].value, target.use_cases[name].value, INSTRUCTGPT[name])
        table.add_row(Text(title.split(" (")[0]), *map(percent, shares))
    console.print(table)
    console.print()
    sides = study.sides
    table = _grid("measure", "training", "target")
    table.add_row("prompts", *(f"{side.prompts:,}" for side in sides))
    table.add_row("words in a prompt, median", *(f"{side.words[2]:,.0f}" for side in sides))
    table.add_row("distinct words", *(f"{side.distinct:,}" for side in sides))
    table.add_row("words unknown to the other side, %", *(percent(s.unknown) for s in sides))
    console.print(table)
    console.print()
    d = study.distance
    console.print(Text(f"MMD² {d.mmd2:.4f}, permutation p {d.p_value:.3f}"))
    for place, name in enumerate(("training", "target")):
        words = ", ".join(word for word, _ in study.telling[place][:10])
        console.print(Text(f"Words typical of {name}: {words or 'none'}"))
    console.print()
    for row, _, likeness in study.uncovered()[:_LISTED]:
        text = shortly(study.asked[row].text, 60)
        console.print(Text(f"Not covered ({likeness:.2f}): {text}", style="dim"))
    for text in findings(study):
        console.print(Text(f"· {text}"))
    console.print()
