"""A run as one PNG: the policy with its values, the learning curve, ways before and after."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Polygon, Rectangle

from truing.grid.episodes import Episodes
from truing.grid.map import STAR, WALL
from truing.grid.shapes import arrow, heat, star, typical, ways
from truing.grid.training import GridRun

_INK, _SOFT, _LINE, _FAINT = "#1d2430", "#5b6472", "#e3e1dc", "#f4f2ee"
_WALL = "#3d4450"
_BLUE, _STAR, _GREEN, _ORANGE = "#1f62d0", "#b86e00", "#0f7a4d", "#c2410c"
_HEAT = LinearSegmentedColormap.from_list("value", ["#f6f9fe", "#8fb1e8"])


def _board(axes: Axes, run: GridRun, title: str, *, values: bool) -> None:
    """Cells, walls, star and start; one unit is one cell, y downwards."""
    grid = run.world.grid
    rows, columns = len(grid.rows), len(grid.rows[0])
    axes.set(xlim=(-0.02, columns + 0.02), ylim=(rows + 0.02, -0.02), aspect="equal")
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=_INK)
    worth = heat(run)
    for row, line in enumerate(grid.rows):
        for column, sign in enumerate(line):
            colour = _WALL if sign == WALL else _FAINT
            edge = _WALL if sign == WALL else "white"
            if values and sign not in (WALL, STAR):
                colour = to_hex(_HEAT(worth[grid.state_of[row, column]]))
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor=edge))
    row, column = grid.cells[grid.star]
    corners = [(column + 0.5 + x, row + 0.5 + y) for x, y in star(0.34)]
    axes.add_patch(Polygon(corners, facecolor=_STAR, edgecolor="white", zorder=3))
    if len(grid.starts) == 1:
        row, column = grid.cells[grid.starts[0]]
        frame = Rectangle((column + 0.06, row + 0.06), 0.88, 0.88, fill=False)
        frame.set(edgecolor=_GREEN, linewidth=2, zorder=2)
        axes.add_patch(frame)


def _draw_policy(axes: Axes, run: GridRun) -> None:
    grid = run.world.grid
    _board(axes, run, "Policy and value of each cell", values=True)
    size = min(8.0, 90 / max(len(grid.rows), len(grid.rows[0])))
    for state, (row, column) in enumerate(grid.cells):
        if state == grid.star:
            continue
        for action, chance in enumerate(run.policy_SA[state].tolist()):
            if chance >= 0.03:
                corners = [(column + 0.5 + x, row + 0.4 + y) for x, y in arrow(action, chance)]
                axes.add_patch(Polygon(corners, facecolor=_INK, zorder=3))
        text = f"{run.value_S[state]:.2f}"
        axes.text(column + 0.5, row + 0.93, text, ha="center", fontsize=size, color=_SOFT)


def _draw_ways(axes: Axes, run: GridRun, title: str, episodes: Episodes, colour: str) -> None:
    _board(axes, run, title, values=False)
    rows = [typical(episodes)] if episodes is run.before else list(range(len(episodes.length_B)))
    for way in ways(run.world, episodes, rows):
        x, y = zip(*way, strict=True)
        axes.plot(x, y, color=colour, linewidth=1.6, alpha=0.65, solid_joinstyle="round", zorder=4)
        axes.plot(x[0], y[0], marker="o", markersize=4, color=_INK, zorder=5)


def _draw_curve(axes: Axes, run: GridRun) -> None:
    best = run.best.result
    axes.axhline(best, color=_GREEN, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.plot(
        [look.episodes for look in run.curve],
        [look.result for look in run.curve],
        color=_BLUE,
        linewidth=2,
    )
    axes.set(ylim=(0, best * 1.12), xlim=(0, run.curve[-1].episodes))
    axes.set_title("Exact return", loc="left", fontsize=11, fontweight="bold", color=_INK)
    axes.set_xlabel("episodes", color=_SOFT, fontsize=9)
    axes.text(
        run.curve[-1].episodes,
        best * 1.02,
        f"optimum {best:.4f}",
        ha="right",
        fontsize=8.5,
        color=_GREEN,
    )
    axes.tick_params(colors=_SOFT, labelsize=8.5, length=3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:g} k" if value else "0")
    axes.grid(axis="y", color=_LINE)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def write_picture(run: GridRun, path: Path) -> None:
    """Writes the PNG. Equal runs give equal bytes."""
    grid = run.world.grid
    figure = Figure(
        figsize=(12, 7.2),
        dpi=110,
        facecolor="white",
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1),
    )
    FigureCanvasAgg(figure)
    parts = figure.subplot_mosaic(
        [["policy", "curve", "curve"], ["policy", "before", "after"]], width_ratios=[2, 1, 1]
    )
    _draw_policy(parts["policy"], run)
    _draw_curve(parts["curve"], run)
    _draw_ways(parts["before"], run, "An episode before training", run.before, _ORANGE)
    _draw_ways(parts["after"], run, "Episodes after training", run.after, _BLUE)
    figure.suptitle(
        f"{grid.name}: return {run.result:.4f} of at most {run.best.result:.4f} "
        f"({100 * run.share:.1f} %), slip {run.world.slip:g}, discount {run.world.discount:g}",
        fontsize=13,
        x=0.01,
        ha="left",
        color=_INK,
    )
    figure.savefig(path, format="png", metadata={"Software": None})
