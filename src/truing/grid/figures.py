"""The page's figures: the policy with its values, the learning curve, ways through the grid."""

from __future__ import annotations

from collections.abc import Sequence

from truing.grid.episodes import Episodes
from truing.grid.map import WALL, GridMap
from truing.grid.shapes import Point, arrow, heat, star, typical, ways
from truing.grid.training import GridRun
from truing.report.figures import WIDE, Figure, both
from truing.report.svg import Canvas, Scale, tick_label, ticks

SHADES = 12
"""Steps from the least to the highest value; the page's style sheet has a class for each."""
ACTIONS = ("up", "down", "left", "right")
_LARGEST_CELL = 74.0
_LEAST_SHOWN = 0.03  # arrows of less likely actions are left out
_ROOM_FOR_VALUE, _ROOM_FOR_BOTH = 30.0, 44.0  # widths of cells for a small figure, and a full one


def shade(heat: float) -> int:
    """The shade of a value between 0 (least) and 1 (most): 0 to SHADES - 1."""
    return min(SHADES - 1, int(heat * SHADES))


class _Board:
    """A map on a canvas: cells to pixels."""

    def __init__(self, canvas: Canvas, grid: GridMap, left: float, top: float, cell: float) -> None:
        self.canvas, self.grid = canvas, grid
        self.left, self.top, self.cell = left, top, cell

    def at(self, x: float, y: float) -> Point:
        return self.left + x * self.cell, self.top + y * self.cell

    def outline(
        self, x: float, y: float, corners: Sequence[Point], css: str, size: float = 1.0
    ) -> None:
        self.canvas.path([self.at(x + size * dx, y + size * dy) for dx, dy in corners], css)

    def draw_cells(self, css_of: Sequence[str]) -> None:
        """Walls and cells; `css_of` has the class of each state's cell."""
        for row, line in enumerate(self.grid.rows):
            for column, sign in enumerate(line):
                x, y = self.at(column, row)
                state = self.grid.state_of.get((row, column))
                css = "wall" if state is None else f"cell {css_of[state]}"
                css = "cell plain" if state == self.grid.star else css
                inset = -0.4 if sign == WALL else 0.5  # walls that touch show no seam
                size = self.cell - 2 * inset
                self.canvas.rect(x + inset, y + inset, size, size, css)
        row, column = self.grid.cells[self.grid.star]
        self.outline(column + 0.5, row + 0.5, star(0.34), "star")

    def draw_start(self) -> None:
        """A ring on the start, where the map has one."""
        if len(self.grid.starts) == 1:
            row, column = self.grid.cells[self.grid.starts[0]]
            x, y = self.at(column, row)
            self.canvas.rect(x + 2.5, y + 2.5, self.cell - 5, self.cell - 5, "start")


def _size(grid: GridMap, width: float) -> float:
    return min(_LARGEST_CELL, width / len(grid.rows[0]))


def policy_figure(run: GridRun) -> Figure:
    """Arrows as long as their action is likely; cells as dark as they are worth much."""
    grid = run.world.grid

    def draw(width: int, key: str) -> Canvas:
        cell = _size(grid, width - 8)
        about = f"The learned policy on map {grid.name}; the return is {run.result:.4f}."
        canvas = Canvas(
            width, int(len(grid.rows) * cell + 8), "Policy and values", about, f"policy-{key}"
        )
        board = _Board(canvas, grid, (width - cell * len(grid.rows[0])) / 2, 4, cell)
        board.draw_cells([f"v{shade(value)}" for value in heat(run)])
        board.draw_start()
        with_value, small = cell >= _ROOM_FOR_VALUE, cell < _ROOM_FOR_BOTH
        middle, size = (0.33, 0.8) if small else (0.41, 1.0)
        for state, (row, column) in enumerate(grid.cells):
            if state == grid.star:
                continue
            x, y = column + 0.5, row + (middle if with_value else 0.5)
            for action, chance in enumerate(run.policy_SA[state].tolist()):
                if chance >= _LEAST_SHOWN:
                    board.outline(x, y, arrow(action, chance), "arrow", size)
            if with_value:
                below = board.at(column + 0.5, row + 0.92)
                figure = f"{run.value_S[state]:.2f}"
                canvas.text(*below, figure, "worth small" if small else "worth", "middle")
        return canvas

    return both(draw)


def curve_figure(run: GridRun) -> Figure:
    """The exact return after every look, below the best that any policy could have."""
    last, best = run.curve[-1], run.best.result

    def draw(width: int, key: str) -> Canvas:
        height = 280 if width == WIDE else 220
        about = f"From {run.curve[0].result:.4f} to {last.result:.4f} of at most {best:.4f}."
        canvas = Canvas(width, height, "Learning curve", about, f"curve-{key}")
        left, right, top, bottom = 50.0, width - 16.0, 26.0, height - 44.0
        x = Scale(0, max(1, last.episodes), left, right)
        y = Scale(0, best * 1.06, bottom, top)
        canvas.y_axis(y, left, right, 4)
        marks = ticks(0, x.high, 5 if width == WIDE else 3)
        for mark in marks:
            canvas.line(x(mark), bottom, x(mark), bottom + 4, "frame")
            canvas.text(x(mark), bottom + 18, _thousands(mark), "tick", "middle")
        canvas.text((left + right) / 2, height - 6, "episodes", "axis", "middle")
        canvas.text(left, 14, "Exact return of the policy", "label")
        canvas.line(left, y(best), right, y(best), "limit best")
        canvas.text(right, y(best) - 5, f"optimum {best:.4f}", "tick", "end")
        canvas.path([(x(look.episodes), y(look.result)) for look in run.curve], "curve c-sft")
        for look in run.curve:
            hint = f"{look.episodes} episodes: return {look.result:.4f}"
            canvas.marker(x(look.episodes), y(look.result), "c-sft", hint, 2.5)
        return canvas

    return both(draw)


def _thousands(value: float) -> str:
    step = 1000.0 if value % 1000 == 0 else 100.0
    return f"{tick_label(value / 1000, step / 1000)} k" if value >= 1000 else f"{value:.0f}"


def ways_figure(run: GridRun) -> Figure:
    """Sampled episodes on the map: one before training, several after."""
    grid = run.world.grid
    panels: list[tuple[str, str, Episodes, list[int]]] = [
        ("Before training", "way before", run.before, [typical(run.before)]),
        ("After training", "way after", run.after, list(range(len(run.after.length_B)))),
    ]

    def draw(width: int, key: str) -> Canvas:
        beside = width == WIDE
        room = (width - 44) / 2 if beside else width - 8
        cell = min(_size(grid, room), 48.0)
        tall = len(grid.rows) * cell + 30
        height = int(tall if beside else 2 * tall + 14)
        about = "Ways through the map, before training and after."
        canvas = Canvas(width, height, "Sampled episodes", about, f"ways-{key}")
        for place, (title, css, episodes, rows) in enumerate(panels):
            left = (width / 2 + 18) * place + 4 if beside else 4.0
            top = 24.0 if beside else 24 + place * (tall + 14)
            left += (room - cell * len(grid.rows[0])) / 2
            board = _Board(canvas, grid, left, top, cell)
            board.draw_cells(["plain"] * len(grid.cells))
            board.draw_start()
            for way in ways(run.world, episodes, rows):
                if len(way) > 1:
                    canvas.path([board.at(*point) for point in way], css)
                canvas.marker(*board.at(*way[0]), "c-ink", "begins here", 3)
            canvas.text(left, top - 8, title, "label")
        return canvas

    return both(draw)
