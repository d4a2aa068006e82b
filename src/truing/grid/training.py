"""One run on a grid world: learn with the loop and the objective that text is learned with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from truing.grid.episodes import Episodes, GridSource, play
from truing.grid.exact import (
    Optimum,
    expected_return,
    optimum,
    policy_values,
)
from truing.grid.table_policy import DeterministicTable, SoftmaxTable, visited
from truing.grid.world import Floats, GridWorld, make_world
from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow, Settings, train
from truing.learn.objectives.baselines import LearnedValue
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.values import TabularValue
from truing.progress import Advance, Progress, SilentProgress
from truing.spec.grid import GridSpec
from truing.types import stable_hash
from truing.version import __version__

LOOKS = 50
"""Points of the learning curve, at most."""
CHECKPOINT_EVERY = 50
"""Updates between checkpoints."""
LARGEST_BATCH = 4096
"""Episodes of an update, at most; with more episodes there are more updates."""
SAMPLES = 5
"""Episodes shown, before and after training."""


@dataclass(frozen=True)
class Look:
    """What the policy was worth after so many updates, episodes and steps in the environment.

    `result` is its exact expected discounted return.
    """

    update: int
    episodes: int
    steps: int
    result: float


@dataclass(frozen=True)
class GridRun:
    """A world, its optimum, and what was learned there. Everything the reports show."""

    spec: GridSpec
    world: GridWorld
    best: Optimum
    policy_SA: Floats
    value_S: Floats
    deterministic_return: float
    curve: Sequence[Look]
    before: Episodes
    after: Episodes

    @property
    def result(self) -> float:
        """The exact expected discounted return of the learned policy from the start."""
        return float(self.world.start_S @ self.value_S)

    @property
    def share(self) -> float:
        """The return as a share of the optimum."""
        return self.result / self.best.result


def digest(spec: GridSpec, world: GridWorld) -> str:
    """16 hexadecimal digits that name everything a run depends on."""
    asked = spec.model_dump(mode="json", exclude={"map"})
    return stable_hash(
        "grid", __version__, json.dumps(asked, sort_keys=True), world.grid.name, *world.grid.rows
    )[:16]


def world_of(spec: GridSpec) -> GridWorld:
    """The world that a spec asks for. Raises InputError where there can't be one."""
    return make_world(spec.map, spec.slip, spec.discount, spec.horizon)


def updates_of(spec: GridSpec) -> int:
    """Gradient steps: each has one episode at least and LARGEST_BATCH at most."""
    return min(spec.episodes, max(spec.updates, -(-spec.episodes // LARGEST_BATCH)))


def objective_of(spec: GridSpec, world: GridWorld) -> Reinforce:
    """REINFORCE with reward-to-go; the baseline is a learned value for each cell."""
    return Reinforce(
        to_go=True,
        discount=spec.discount,
        baseline=LearnedValue(values=TabularValue(world.states, visited)),
        entropy_weight=spec.entropy_weight,
    )


def learn(spec: GridSpec, folder: Path, progress: Progress | None = None) -> GridRun:
    """Trains a softmax table; the loop keeps its log and checkpoint in `folder`.

    A training that was interrupted there goes on. Raises InputError, before anything is written,
    where the spec asks for an impossible world, or `folder` holds another training.
    """
    world = world_of(spec)
    best = optimum(world)
    policy = SoftmaxTable(world.states)
    untrained = Look(0, 0, 0, expected_return(world, policy.probabilities()))
    before = _samples(spec, world, policy, 0)
    checkpoint = Checkpoint(
        folder, folder / "log.jsonl", every=CHECKPOINT_EVERY, identity=digest(spec, world)
    )
    with (progress or SilentProgress()).task("learning", updates_of(spec)) as advance:
        advance(checkpoint.saved_step)
        _train(spec, world, policy, checkpoint, advance)
    policy_SA = policy.probabilities()
    return GridRun(
        spec,
        world,
        best,
        policy_SA,
        policy_values(world, policy_SA),
        expected_return(world, DeterministicTable.greedy(policy).probabilities()),
        [untrained, *_curve(checkpoint.rows)],
        before,
        _samples(spec, world, policy, 1),
    )


def _train(
    spec: GridSpec, world: GridWorld, policy: SoftmaxTable, checkpoint: Checkpoint, advance: Advance
) -> None:
    updates = updates_of(spec)

    def look(update: int, row: LogRow) -> bool:
        if update == updates or update % max(1, updates // LOOKS) == 0:
            row["return"] = expected_return(world, policy.probabilities())
            advance(update, f"return {row['return']:.3f}")
        return True

    train(
        policy,
        GridSource(world, policy, spec.episodes, updates, spec.seed),
        objective_of(spec, world),
        Settings(updates, spec.learning_rate, max_grad_norm=float("inf"), decay=False),
        checkpoint,
        look,
    )


def _curve(rows: Sequence[LogRow]) -> Iterator[Look]:
    """The learning curve in a log."""
    steps = 0
    for row in rows:
        steps += row["steps"]
        if "return" in row:
            yield Look(row["step"], row["episodes"], steps, row["return"])


def _samples(spec: GridSpec, world: GridWorld, policy: SoftmaxTable, which: int) -> Episodes:
    """A few episodes to show; their draws are never those of a training step, which count from 1."""
    generator = np.random.default_rng((spec.seed, 0, which))
    return play(world, policy.probabilities(), SAMPLES, generator)


def to_json(run: GridRun) -> dict[str, Any]:
    """The document of `truing grid --json`. Equal runs give equal documents."""
    world, grid = run.world, run.world.grid

    def by_cell(values: Sequence[Any]) -> list[list[Any]]:
        rows: list[list[Any]] = [[None] * len(grid.rows[0]) for _ in grid.rows]
        for (row, column), value in zip(grid.cells, values, strict=True):
            rows[row][column] = value
        return rows

    return {
        "map": grid.name,
        "rows": list(grid.rows),
        "slip": world.slip,
        "discount": world.discount,
        "horizon": world.horizon,
        **run.spec.model_dump(exclude={"map", "slip", "discount", "horizon"}),
        "return": run.result,
        "optimal_return": run.best.result,
        "share_of_optimum": run.share,
        "deterministic_return": run.deterministic_return,
        "untrained_return": run.curve[0].result,
        "environment_steps": run.curve[-1].steps,
        "value": by_cell(run.value_S.tolist()),
        "optimal_value": by_cell(run.best.value_S.tolist()),
        "policy": by_cell(run.policy_SA.tolist()),
        "actions": ["up", "down", "left", "right"],
        "learning_curve": [
            {"update": look.update, "episodes": look.episodes, "return": look.result}
            for look in run.curve
        ],
        "samples": {"before": _listed(run.before), "after": _listed(run.after)},
    }


def _listed(episodes: Episodes) -> list[dict[str, Any]]:
    """Episodes as objects: the states visited and the actions taken there."""
    return [
        {
            "states": episodes.state_BT[row, :length].tolist(),
            "actions": episodes.action_BT[row, :length].tolist(),
            "reached": bool(reached),
        }
        for row, (length, reached) in enumerate(
            zip(episodes.length_B.tolist(), episodes.reached_B, strict=True)
        )
    ]
