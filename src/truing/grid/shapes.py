"""Outlines that the page and the picture share. y grows downwards; a cell is 1 wide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from truing.grid.episodes import Episodes
from truing.grid.map import MOVES
from truing.grid.training import GridRun
from truing.grid.world import GridWorld

Point = tuple[float, float]

_SHAFT, _HEAD, _NECK = 0.035, 0.09, 0.14  # half widths, and the head's length, of a full arrow
_FULL, _LEAST = 0.36, 0.1  # lengths for probability 1 and 0


def arrow(move: int, chance: float) -> list[Point]:
    """Seven corners of an arrow (x, y) from the middle of a cell, as long as the move is likely."""
    length = _LEAST + (_FULL - _LEAST) * chance
    size = min(1.0, length / (2 * _NECK))  # a short arrow has a small head
    neck, shaft, head = length - size * _NECK, _SHAFT * max(0.6, size), _HEAD * size
    along_across = [
        (0.0, -shaft),
        (neck, -shaft),
        (neck, -head),
        (length, 0.0),
        (neck, head),
        (neck, shaft),
        (0.0, shaft),
    ]
    down, right = MOVES[move]
    return [
        (along * right - across * down, along * down + across * right)
        for along, across in along_across
    ]


def heat(run: GridRun) -> list[float]:
    """What each state is worth, from 0 for the least to 1 for the most; the star isn't counted."""
    star_state = run.world.grid.star
    counted = [value for state, value in enumerate(run.value_S.tolist()) if state != star_state]
    low, high = min(counted), max(counted)
    span = high - low or 1.0
    return [min(1.0, max(0.0, (value - low) / span)) for value in run.value_S.tolist()]


def typical(episodes: Episodes) -> int:
    """The episode of middle length."""
    order = episodes.length_B.argsort(kind="stable")
    return int(order[len(order) // 2])


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
