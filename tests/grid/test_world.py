"""The grid world against a walk by hand, against itself in other forms, and against brute force."""

from __future__ import annotations

import itertools
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from truing.grid import GRID_WORLD
from truing.grid.exact import expected_return, optimum, policy_values
from truing.grid.gymnasium_env import GridWorldEnv, GridWorldVectorEnv
from truing.grid.map import BUILT_IN, parse_map
from truing.grid.world import GridWorld, make_world

UP, DOWN, LEFT, RIGHT = range(4)
SMALL = parse_map("S.#\n.#*\n...", "small", "small")


def walked(world: GridWorld, cell: tuple[int, int], move: int) -> tuple[int, int]:
    """Where a move leads, by looking at the drawing and nothing else."""
    row = cell[0] + {UP: -1, DOWN: 1}.get(move, 0)
    column = cell[1] + {LEFT: -1, RIGHT: 1}.get(move, 0)
    rows = world.grid.rows
    inside = 0 <= row < len(rows) and 0 <= column < len(rows[0])
    return (row, column) if inside and rows[row][column] != "#" else cell


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_each_step_follows_the_drawing(name: str, slip: float) -> None:
    world = make_world(name, slip)
    sides = {UP: (LEFT, RIGHT), DOWN: (RIGHT, LEFT), LEFT: (DOWN, UP), RIGHT: (UP, DOWN)}
    draws = (0.0, slip / 2 - 1e-9, slip / 2, slip - 1e-9, slip, 0.999)
    for state, action, draw in itertools.product(range(world.states), range(4), draws):
        if state == world.grid.star or draw < 0:
            continue
        left, right = sides[action]
        move = left if draw < slip / 2 else right if draw < slip else action
        cell = walked(world, world.grid.cells[state], move)
        found, reward, over = world.step(np.array([state]), np.array([action]), np.array([draw]))
        on_star = world.grid.rows[cell[0]][cell[1]] == "*"
        assert world.grid.cells[int(found[0])] == cell
        assert (float(reward[0]), bool(over[0])) == (float(on_star), on_star)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("slip", [0.0, 0.25])
@pytest.mark.parametrize("mode", [None, "ansi"])
def test_gymnasium_has_no_complaint(name: str, slip: float, mode: str | None) -> None:
    made = gymnasium.make(GRID_WORLD, map=name, slip=slip, render_mode=mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped)


def test_the_registered_forms() -> None:
    assert isinstance(gymnasium.make(GRID_WORLD).unwrapped, GridWorldEnv)
    many = gymnasium.make_vec(GRID_WORLD, num_envs=3, map="maze", slip=0.5)
    assert isinstance(many, GridWorldVectorEnv)
    assert many.reset(seed=1)[0].tolist() == [0, 0, 0]
    assert many.observation_space.shape == many.action_space.shape == (3,)


def test_what_is_rendered() -> None:
    env = GridWorldEnv(SMALL, render_mode="ansi")
    env.reset(seed=0)
    env.step(RIGHT)
    assert env.render() == "SA#\n.#*\n..."
    with pytest.raises(ValueError, match="action: 0 up"):
        env.step(4)


class _Draws:
    """A generator of [0, 1) that gives what it was given."""

    def __init__(self, values: list[float]) -> None:
        self._values = iter(values)

    def random(self) -> float:
        return next(self._values)


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("slip", [0.0, 0.4])
def test_many_grids_in_step_are_as_many_single_ones(name: str, slip: float) -> None:
    count, steps = 40, 160
    generator = np.random.default_rng(7)
    draws = generator.random((steps + 1, count))
    actions = generator.integers(0, 4, (steps, count))
    singles = [GridWorldEnv(name, slip, horizon=35) for _ in range(count)]
    for column, env in enumerate(singles):
        env.np_random = _Draws(draws[:, column].tolist())  # type: ignore[assignment]
    many = GridWorldVectorEnv(count, name, slip, horizon=35)
    rows = iter(draws)
    many.np_random = type("Rows", (), {"random": lambda self, size: next(rows)})()
    states, _ = many.reset()
    assert states.tolist() == [env.reset()[0] for env in singles]
    over, finished = [False] * count, 0
    for step in range(steps):
        states, rewards, reached, late, _ = many.step(actions[step])
        for column, env in enumerate(singles):
            if over[column]:
                expected = (env.reset()[0], 0.0, False, False)
            else:
                expected = env.step(int(actions[step, column]))[:4]
            found = (states[column], rewards[column], reached[column], late[column])
            assert found == expected
            over[column] = expected[2] or expected[3]
            finished += over[column]
    assert finished > count


def _by_enumeration(world: GridWorld, policy_SA: np.ndarray, state: int, left: int) -> float:
    """Expected discounted return by walking every branch of the tree."""
    if left == 0 or state == world.grid.star:
        return 0.0
    total = 0.0
    for action, move in itertools.product(range(4), range(4)):
        chance = policy_SA[state, action] * world.chance_AM[action, move]
        if chance:
            cell = walked(world, world.grid.cells[state], move)
            later = world.grid.state_of[cell]
            reward = 1.0 if later == world.grid.star else 0.0
            total += chance * (
                reward + world.discount * _by_enumeration(world, policy_SA, later, left - 1)
            )
    return total


@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_values_are_those_of_every_branch(slip: float) -> None:
    world = GridWorld(parse_map("S.\n#*", "m", "m"), slip, 0.8, 5)
    policy = np.random.default_rng(0).dirichlet(np.ones(4), world.states)
    values = policy_values(world, policy)
    for state in range(world.states):
        assert values[state] == pytest.approx(_by_enumeration(world, policy, state, 5), abs=1e-12)
    assert expected_return(world, policy) == pytest.approx(values[0])


def test_the_optimum_without_slip_is_the_shortest_way() -> None:
    for name in BUILT_IN:
        world = make_world(name, discount=0.9)
        best = optimum(world)
        steps = np.array(world.grid.distances, dtype=float)
        expected = np.where(steps == 0, 0, 0.9 ** (steps - 1))
        np.testing.assert_allclose(best.value_S, expected, atol=1e-12)
        assert best.result == pytest.approx(expected[list(world.grid.starts)].mean())
        for state, action in enumerate(best.action_S):
            later = world.grid.neighbours(state)[action]
            assert state == world.grid.star or steps[later] == steps[state] - 1


def test_the_optimum_with_slip_beats_every_table() -> None:
    world = GridWorld(parse_map("S..\n.#*", "m", "m"), 0.4, 0.9, 200)
    best = optimum(world)
    tables = [np.eye(4)[list(actions)] for actions in itertools.product(range(4), repeat=4)]
    returns = [
        expected_return(world, np.insert(table, world.grid.star, 0.25, axis=0)) for table in tables
    ]
    assert max(returns) == pytest.approx(best.result, abs=1e-9)  # a far horizon: no need of a clock
    assert expected_return(world, np.eye(4)[best.action_S]) == pytest.approx(best.result, abs=1e-9)


def test_a_near_horizon_lowers_the_optimum() -> None:
    returns = [optimum(GridWorld(SMALL, 0.3, 1.0, horizon)).result for horizon in (5, 8, 20, 400)]
    assert 0 < returns[0] < returns[1] < returns[2] < returns[3] <= 1
    assert returns[0] == pytest.approx(0.7**5)  # five steps, none of which may slip
