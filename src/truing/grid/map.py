"""A map of cells, walls and one star, read from text.

    #   wall: nobody gets in
    .   free cell
    *   the star, exactly one
    S   the start, at most one; without it every free cell is as likely a start as any other

One line of the file is one row of the map, and all rows are as long as the first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from truing.files import read_text
from truing.types import InputError, did_you_mean

WALL, FREE, STAR, START = "#", ".", "*", "S"
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""(rows, columns) of up, down, left and right: the four actions, in this order everywhere."""
BUILT_IN = ("open", "detour", "rooms", "maze", "gap")
"""Maps that come with the package."""


@dataclass(frozen=True)
class GridMap:
    """A checked map. Its states are the cells that aren't walls, numbered in reading order."""

    name: str
    rows: tuple[str, ...]

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """(row, column), from 0, of every state."""
        return tuple(place for place, sign in _signs(self.rows) if sign != WALL)

    @cached_property
    def state_of(self) -> dict[tuple[int, int], int]:
        """The state at (row, column); walls and what lies outside are missing."""
        return {cell: state for state, cell in enumerate(self.cells)}

    @cached_property
    def star(self) -> int:
        """The state of the star."""
        return self._states_with(STAR)[0]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The states in which an episode may begin, all equally likely."""
        return self._states_with(START) or self._states_with(FREE)

    @cached_property
    def distances(self) -> tuple[int | None, ...]:
        """Fewest moves from each state to the star; None where there is no way."""
        found: dict[int, int] = {self.star: 0}
        queue = deque([self.star])
        while queue:  # moves can be taken back, so the ways to the star are those from it
            state = queue.popleft()
            for neighbour in self.neighbours(state):
                if neighbour not in found:
                    found[neighbour] = found[state] + 1
                    queue.append(neighbour)
        return tuple(found.get(state) for state in range(len(self.cells)))

    def neighbours(self, state: int) -> tuple[int, ...]:
        """The state that each of the four moves leads to; a wall or the edge leaves it as it is."""
        row, column = self.cells[state]
        return tuple(self.state_of.get((row + up, column + left), state) for up, left in MOVES)

    def _states_with(self, wanted: str) -> tuple[int, ...]:
        return tuple(self.state_of[place] for place, sign in _signs(self.rows) if sign == wanted)


def _signs(rows: tuple[str, ...]) -> Iterator[tuple[tuple[int, int], str]]:
    """((row, column), character) in reading order."""
    for row, line in enumerate(rows):
        for column, sign in enumerate(line):
            yield (row, column), sign


def _check_signs(rows: tuple[str, ...], where: str) -> None:
    """Raises InputError at the first row or character that can't stand in a map."""
    if not rows:
        raise InputError(f"{where}: the map is empty; draw it with '#', '.', '*' and 'S'")
    seen: dict[str, tuple[int, int]] = {}
    for number, line in enumerate(rows, start=1):
        if len(line) != len(rows[0]):
            raise InputError(
                f"{where}:{number}: the row has {len(line)} characters, the first has "
                f"{len(rows[0])}; all rows must be as long as the first"
            )
        for column, sign in enumerate(line, start=1):
            place = f"{where}:{number}:{column}"
            if sign not in (WALL, FREE, STAR, START):
                raise InputError(
                    f"{place}: unknown character {sign!r}; use '#' (wall), '.' (free), "
                    "'*' (star), 'S' (start)"
                )
            if sign in (STAR, START):
                if sign in seen:
                    what = "star" if sign == STAR else "start"
                    first, other = seen[sign]
                    raise InputError(
                        f"{place}: a second {what}; the first is in line {first}, column {other}, "
                        "and there may be one only"
                    )
                seen[sign] = (number, column)
    if STAR not in seen:
        raise InputError(f"{where}: no star; put one '*' on the map")


def _check_ways(grid: GridMap, where: str) -> None:
    """Raises InputError where an episode could begin that can never reach the star."""
    if not grid.starts:
        raise InputError(f"{where}: no cell to start from; add a '.' or an 'S'")
    for state in grid.starts:
        if grid.distances[state] is None:
            row, column = grid.cells[state]
            raise InputError(
                f"{where}:{row + 1}:{column + 1}: the star can't be reached from here; open a way "
                "through the walls, make this cell a wall, or mark another one as the start 'S'"
            )


def parse_map(text: str, name: str, where: str) -> GridMap:
    """A map from text; empty lines at the end don't count.

    Raises InputError naming `where`, line and column of the first mistake.
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    grid = GridMap(name, tuple(lines))
    _check_signs(grid.rows, where)
    _check_ways(grid, where)
    return grid


def load_map(name_or_file: str | Path) -> GridMap:
    """A built-in map by its name, or the map in a UTF-8 file. Raises InputError as `parse_map`."""
    if name_or_file in BUILT_IN:
        folder = resources.files("truing.grid") / "maps"
        text = (folder / f"{name_or_file}.txt").read_text(encoding="utf-8")
        return parse_map(text, str(name_or_file), f"map {name_or_file}")
    path = Path(name_or_file)
    if not path.exists():
        raise InputError(
            f"{path}: no such map; {did_you_mean(path, BUILT_IN)}"
            f"give a file, or one of the built-in maps: {', '.join(BUILT_IN)}"
        )
    return parse_map(read_text(path), path.stem, str(path))
