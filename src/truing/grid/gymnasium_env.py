"""The grid world for Gymnasium: one grid, and many in step.

    import gymnasium, truing.grid
    env = gymnasium.make("truing/GridWorld-v0", map="maze", slip=0.1)
    envs = gymnasium.make_vec("truing/GridWorld-v0", num_envs=4096, map="maze")

Both keep to the same rules (grid_world.py) and use one draw from [0, 1) for each start and each step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from truing.grid.map import GridMap
from truing.grid.world import DEFAULTS, Floats, Ints, make_world


class GridWorldEnv(gymnasium.Env[int, int]):
    """One grid. An observation is the number of the cell, an action one of up, down, left, right."""

    metadata = {"render_modes": ["ansi"], "render_fps": 8}  # noqa: RUF012

    def __init__(
        self,
        map: str | Path | GridMap = DEFAULTS.map,
        slip: float = DEFAULTS.slip,
        discount: float = DEFAULTS.discount,
        horizon: int | None = DEFAULTS.horizon,
        render_mode: str | None = None,
    ) -> None:
        """See `make_world`; raises InputError as it does. The discount is for who learns here."""
        self.world = make_world(map, slip, discount, horizon)
        self.render_mode = render_mode
        self.observation_space = Discrete(self.world.states)  # type: ignore[assignment]
        self.action_space = Discrete(4)  # type: ignore[assignment]
        # Plain lists: for a single grid they are several times faster than arrays.
        self._moved: list[list[int]] = self.world.moved_SM.tolist()
        turned = self.world.turned.reshape(3, 4)
        self._left, self._right, _ = turned.tolist()
        self._state, self._steps = self.world.grid.starts[0], 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The first observation, drawn from the start cells."""
        super().reset(seed=seed)
        starts = self.world.grid.starts
        self._state, self._steps = starts[int(self.np_random.random() * len(starts))], 0
        return self._state, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Observation, reward, whether the star is reached, whether time is up, and nothing more."""
        move = int(action)
        if not 0 <= move < 4:
            raise ValueError(f"action: 0 up, 1 down, 2 left or 3 right, got {action}")
        draw = self.np_random.random()
        if draw < self.world.slip:
            move = (self._left if draw < self.world.slip / 2 else self._right)[move]
        star, before = self.world.grid.star, self._state
        self._state = self._moved[before][move]
        self._steps += 1
        reached = self._state == star
        reward = 1.0 if reached and before != star else 0.0
        return self._state, reward, reached, self._steps >= self.world.horizon, {}

    def render(self) -> str | None:
        """The map with an A where the agent is."""
        if self.render_mode is None:
            return None
        row, column = self.world.grid.cells[self._state]
        lines = list(self.world.grid.rows)
        lines[row] = f"{lines[row][:column]}A{lines[row][column + 1 :]}"
        return "\n".join(lines)


class GridWorldVectorEnv(VectorEnv[Ints, Ints, Any]):
    """Many grids in step, as arrays. A grid whose episode is over begins anew with the next step."""

    metadata = {  # noqa: RUF012
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        map: str | Path | GridMap = DEFAULTS.map,
        slip: float = DEFAULTS.slip,
        discount: float = DEFAULTS.discount,
        horizon: int | None = DEFAULTS.horizon,
        render_mode: str | None = None,
    ) -> None:
        """See `make_world`; raises InputError as it does."""
        self.world = make_world(map, slip, discount, horizon)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space = Discrete(self.world.states)
        self.single_action_space = Discrete(4)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._state_B: Ints = np.full(num_envs, self.world.grid.starts[0])
        self._steps_B: Ints = np.zeros(num_envs, dtype=np.int64)
        self._over_B = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Ints, dict[str, Any]]:
        """(B,) first observations. One seed for all grids together."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        self._state_B = self.world.begin(self.np_random.random(self.num_envs))
        self._steps_B = np.zeros(self.num_envs, dtype=np.int64)
        self._over_B = np.zeros(self.num_envs, dtype=bool)
        return self._state_B.copy(), {}

    def step(
        self, actions: Ints
    ) -> tuple[Ints, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """(B,) observations, rewards, stars reached, times up. Where an episode was over already the
        observation is a new start, the reward 0, and the action plays no part."""
        draw_B = self.np_random.random(self.num_envs)
        state_B, reward_B, reached_B = self.world.step(self._state_B, actions, draw_B)
        new_B = self._over_B
        if new_B.any():
            state_B = np.where(new_B, self.world.begin(draw_B), state_B)
            reward_B = np.where(new_B, 0.0, reward_B)
            reached_B = reached_B & ~new_B
        self._steps_B = np.where(new_B, 0, self._steps_B + 1)
        late_B = self._steps_B >= self.world.horizon
        self._state_B, self._over_B = state_B, reached_B | late_B
        return state_B.copy(), reward_B, reached_B, late_B, {}
