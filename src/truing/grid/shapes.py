"""Outlines that the page and the picture share. y grows downwards; a cell is 1 wide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from truing.environments.grid_map import MOVES
from truing.environments.grid_world import GridWorld
from truing.grid.episodes import Episodes

Point = tuple[float, float]

_SHAFT, _HEAD = 0.035, 0.085  # half widths
_NECK = 0.13  # length of the head
_GAP = 0.05  # from the middle of the cell to where arrows begin


def arrow(move: int, length: float) -> list[Point]:
    """Seven corners of an arrow (x, y) from near the middle of a cell, `length` from there to its tip."""
    neck = max(_GAP, length - _NECK)
    along_across = [
        (_GAP, -_SHAFT),
        (neck, -_SHAFT),
        (neck, -_HEAD),
        (length, 0.0),
        (neck, _HEAD),
        (neck, _SHAFT),
        (_GAP, _SHAFT),
    ]
    down, right = MOVES[move]
    return [
        (along * right - across * down, along * down + across * right)
        for along, across in along_across
    ]


def star(radius: float) -> list[Point]:
    """Ten corners of a star (x, y) around (0, 0)."""
    corners = []
    for corner in range(10):
        reach = radius if corner % 2 == 0 else radius * 0.42
        angle = math.pi * corner / 5
        corners.append((reach * math.sin(angle), -reach * math.cos(angle)))
    return corners


def visited_states(world: GridWorld, episodes: Episodes, row: int) -> list[int]:
    """The states of an episode in order; the star last, where it was reached."""
    states: list[int] = episodes.state_BT[row, : episodes.length_B[row]].tolist()
    return [*states, world.grid.star] if episodes.reached_B[row] else states


def ways(world: GridWorld, episodes: Episodes, rows: Sequence[int]) -> list[list[Point]]:
    """The way (x, y) of each episode through the middles of cells, a little apart from each other."""
    found = []
    for place, row in enumerate(rows):
        aside = 0.11 * (place - (len(rows) - 1) / 2)
        cells = [world.grid.cells[state] for state in visited_states(world, episodes, row)]
        found.append([(column + 0.5 + aside, line + 0.5 + aside) for line, column in cells])
    return found
