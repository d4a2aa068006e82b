"""A run in the terminal: arrows and values on the map, the learning curve, sampled episodes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from truing.grid.figures import shade
from truing.grid.map import WALL
from truing.grid.shapes import heat, typical
from truing.grid.training import GridRun
from truing.grid.walks import ARROWS, walks

_CELL = 5  # characters of a cell that holds a value
_BARS = " ▁▂▃▄▅▆▇█"
_SHADES = tuple(f"on rgb({12 + 2 * n},{24 + 6 * n},{46 + 12 * n})" for n in range(12))
_CHART_ROWS = 6


def _board(run: GridRun, width: int) -> Text:
    """The map: two lines a row with values where there is room for them, one without."""
    grid = run.world.grid
    with_values = len(grid.rows[0]) * _CELL <= width
    size = _CELL if with_values else 2 if len(grid.rows[0]) * 2 <= width else 1
    worth = heat(run)
    text = Text(no_wrap=True)
    for row, line in enumerate(grid.rows):
        for upper in (True, False)[: 2 if with_values else 1]:
            for column, sign in enumerate(line):
                if sign == WALL:
                    text.append("█" * size, style="grey35")
                else:
                    state = grid.state_of[row, column]
                    text.append(*_part(run, state, size, upper, _SHADES[shade(worth[state])]))
            text.append("\n")
    return text


def _part(run: GridRun, state: int, size: int, upper: bool, colour: str) -> tuple[str, str]:
    """One line of one cell, and its style: the likeliest action above, the value below."""
    value = float(run.value_S[state])
    style = f"white {colour}"
    if state == run.world.grid.star:
        return ("★" if upper else "").center(size), "bold yellow"
    if not upper:
        return f"{value:.2f}".removeprefix("0").center(size), style
    sign = ARROWS[int(run.policy_SA[state].argmax())]
    start = len(run.world.grid.starts) == 1 and state in run.world.grid.starts
    return (f"S{sign}" if start and size > 1 else sign).center(size), f"bold {style}"


def _chart(run: GridRun, width: int) -> Text:
    """The learning curve in blocks, over episodes; its top is the optimum."""
    last, columns = run.curve[-1].episodes, max(10, min(60, width - 12))
    heights = []
    for column in range(columns):
        here = last * (column + 1) / columns
        reached = [look.result for look in run.curve if look.episodes <= here]
        heights.append(max(0.0, reached[-1] / run.best.result))
    text = Text(no_wrap=True)
    for row in range(_CHART_ROWS, 0, -1):
        label = {_CHART_ROWS: f"{run.best.result:.3f}", 1: "0"}.get(row, "")
        text.append(f"{label:>7} ", style="dim")
        for height in heights:
            eighths = round(8 * (height * _CHART_ROWS - (row - 1)))
            text.append(_BARS[min(8, max(0, eighths))], style="blue")
        text.append("\n")
    text.append(f"{'':8}{'0 episodes':<{columns - 8}}{last:>8,}\n", style="dim")
    return text


def _walks(run: GridRun) -> Text:
    text = Text()
    before, after = walks(run.world, run.before), walks(run.world, run.after)
    shown = [("before", before[typical(run.before)]), *(("after", walk) for walk in after[:3])]
    for title, walk in shown:
        text.append(f"{title:>7}  ", style="dim")
        text.append(f"{walk.arrows}\n", style="bold")
        text.append(f"{'':9}{walk.about}\n", style="dim")
    return text


def show(run: GridRun, console: Console) -> None:
    """Print the run. Signs carry the sense; colour only where the console has it."""
    world, grid = run.world, run.world.grid
    console.print()
    console.print(
        Text.assemble(
            (f"{grid.name}: ", "bold"),
            (f"return {run.result:.4f} of at most {run.best.result:.4f}", "bold"),
            f" ({100 * run.share:.1f} %)",
        )
    )
    console.print(
        Text(
            f"slip {world.slip:g}, discount {world.discount:g}, horizon {world.horizon} steps, "
            f"{run.curve[-1].episodes:,} episodes, {run.curve[-1].steps:,} steps",
            style="dim",
        )
    )
    console.print()
    console.print(Text("The likeliest action of each cell, and its value", style="bold"))
    console.print(_board(run, console.width), end="")
    console.print()
    console.print(Text("Exact return; the top line is the optimum", style="bold"))
    console.print(_chart(run, console.width), end="")
    console.print()
    console.print(Text("Sampled episodes", style="bold"))
    console.print(_walks(run), end="")
    console.print()
