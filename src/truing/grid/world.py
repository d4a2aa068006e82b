"""The grid world: walk to the star. One step is one array operation, for one grid or for thousands.

States are the cells of a map, actions up, down, left and right. With probability `slip` a step goes
at right angles to where it was meant to go, to either side equally often (Russell and Norvig,
"Artificial Intelligence", section 17.1). A step against a wall or over the edge stays. The step that
reaches the star earns 1 and ends the episode; every other earns 0. After `horizon` steps the episode
is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from truing.grid.map import GridMap, load_map
from truing.spec.grid import GridSpec
from truing.types import InputError

DEFAULTS = GridSpec()

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LEFT_OF = (2, 3, 1, 0)
"""The move to the left of each move, seen by who makes it; to the right is the opposite one."""
RIGHT_OF = (3, 2, 0, 1)
HORIZON_PER_CELL = 8
"""Without a horizon, an episode may last this many steps for each cell: a random walk from a far
corner then finds the star often enough to learn from."""
LONGEST = 100_000
"""Steps in an episode, at most: what takes longer neither fits the memory nor ends."""


@dataclass(frozen=True)
class GridWorld:
    """A map with its rules. Raises InputError where a rule is impossible.

    `discount` is what a reward loses in worth with each step of waiting; `horizon` counts steps.
    """

    grid: GridMap
    slip: float
    discount: float
    horizon: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.slip) and 0 <= self.slip < 1):
            raise InputError(f"slip: must be at least 0 and below 1, got {self.slip}")
        if not (math.isfinite(self.discount) and 0 < self.discount <= 1):
            raise InputError(f"discount: must be above 0 and at most 1, got {self.discount}")
        if self.horizon > LONGEST:
            raise InputError(f"horizon: at most {LONGEST} steps, got {self.horizon}")
        nearest = min(self.grid.distances[start] or 0 for start in self.grid.starts)
        if self.horizon < nearest:
            raise InputError(
                f"horizon: {self.horizon} steps are too few on map {self.grid.name}: "
                f"the star is {nearest} steps away"
            )

    @property
    def states(self) -> int:
        """Number of states, the star's included."""
        return len(self.grid.cells)

    @cached_property
    def moved_SM(self) -> Ints:
        """(S, 4) state after each move; nobody leaves the star."""
        table = np.array([self.grid.neighbours(state) for state in range(self.states)])
        table[self.grid.star] = self.grid.star
        return table.astype(np.int64)

    @cached_property
    def reward_SM(self) -> Floats:
        """(S, 4) reward of each move: 1 where it reaches the star."""
        reaches = self.moved_SM == self.grid.star
        reaches[self.grid.star] = False
        found: Floats = reaches.astype(np.float64)
        return found

    @cached_property
    def chance_AM(self) -> Floats:
        """(4, 4) probability that an action becomes a move."""
        chances = np.eye(4) * (1 - self.slip)
        for action in range(4):
            chances[action, LEFT_OF[action]] += self.slip / 2
            chances[action, RIGHT_OF[action]] += self.slip / 2
        return chances

    @cached_property
    def start_S(self) -> Floats:
        """(S,) probability that an episode begins in each state."""
        chances = np.zeros(self.states)
        chances[list(self.grid.starts)] = 1 / len(self.grid.starts)
        return chances

    @cached_property
    def _starts(self) -> Ints:
        return np.array(self.grid.starts, dtype=np.int64)

    @cached_property
    def turned(self) -> Ints:
        """(12,) the move to the left of each move, then to the right, then the move itself."""
        return np.array([LEFT_OF, RIGHT_OF, range(4)], dtype=np.int64).ravel()

    def begin(self, uniform_B: Floats) -> Ints:
        """(B,) first states; `uniform_B` are draws from [0, 1)."""
        places = (uniform_B * len(self._starts)).astype(np.int64)
        return self._starts[places]

    def moves(self, action_B: Ints, uniform_B: Floats) -> Ints:
        """(B,) the moves that the actions become.

        A draw below slip / 2 goes to the left of what was meant, below slip to the right.
        """
        if self.slip == 0:
            return action_B
        way_B = (uniform_B >= self.slip / 2).astype(np.int64) + (uniform_B >= self.slip)
        move_B: Ints = self.turned[4 * way_B + action_B]
        return move_B

    def step(
        self, state_B: Ints, action_B: Ints, uniform_B: Floats
    ) -> tuple[Ints, Floats, NDArray[np.bool_]]:
        """(B,) next states, rewards, and whether the episode has ended at the star.

        Each grid goes its own way, all in a few array operations. `uniform_B` are draws from [0, 1).
        """
        place_B = 4 * state_B + self.moves(action_B, uniform_B)
        next_B = self.moved_SM.ravel()[place_B]
        return next_B, self.reward_SM.ravel()[place_B], next_B == self.grid.star


def make_world(
    map: str | Path | GridMap = DEFAULTS.map,
    slip: float = DEFAULTS.slip,
    discount: float = DEFAULTS.discount,
    horizon: int | None = DEFAULTS.horizon,
) -> GridWorld:
    """A grid world from a map (or its name or file). Raises InputError for whatever is impossible.

    Without a horizon there are HORIZON_PER_CELL steps for each cell.
    """
    grid = map if isinstance(map, GridMap) else load_map(map)
    if horizon is None:
        horizon = min(HORIZON_PER_CELL * len(grid.cells), LONGEST)
    return GridWorld(grid, slip, discount, horizon)
