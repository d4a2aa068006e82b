"""`truing grid` against stable-baselines3's A2C on the same Gymnasium environment.

Both learn the same class of policy: A2C gets no hidden layer, so that on one-hot observations its
actor is a softmax table and its critic a table of values. Its settings are the best of a search over
1, 16 and 64 environments and learning rates from 0.0007 to 0.1, by the time to 99 % of the optimum.
Only training is timed: imports, making environments and looking at the exact return aren't.

`million steps`: seconds for a million environment steps while training. `99 % of the optimum`: seconds
of training until the exact return of the policy has reached that share of the optimal one; where a
side doesn't get there within LIMIT seconds, LIMIT stands for it, and `reached` counts those that did.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _in_turn import Benchmark, Measured, main

from truing.environments import GRID_WORLD
from truing.environments.exact import expected_return, optimum
from truing.environments.grid_world import make_world
from truing.files import read_jsonl
from truing.grid.training import learn
from truing.spec import GridSpec

MAP, SLIP = "rooms", 0.1
ENOUGH, LIMIT, SEEDS = 0.99, 40.0, 3
STEPS, OPTIMUM = "million steps", "99 % of the optimum"
A2C = {"n_steps": 8, "learning_rate": 0.03, "gae_lambda": 1.0}
ENVIRONMENTS = 16
LOOK_EVERY = 2000  # environment steps of the peer


def _measured(case: str, runs: list[dict[str, float | None]]) -> Measured:
    """The seconds of a case; the work is what the runs came to."""
    if case == STEPS:
        seconds = [1e6 * (run["seconds"] or 0) / (run["steps"] or 1) for run in runs]
    else:
        seconds = [LIMIT if run["reached"] is None else run["reached"] for run in runs]
    work = {
        "steps": float(sum(run["steps"] or 0 for run in runs)),
        "reached": float(sum(run["reached"] is not None for run in runs)),
        "share_of_optimum": min(run["share"] or 0 for run in runs),
    }
    return Measured(seconds, work)


def ours(case: str) -> Measured:
    """The default run of `truing grid`, to its end."""
    torch.set_num_threads(1)
    runs: list[dict[str, float | None]] = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as name:
            run = learn(GridSpec(map=MAP, slip=SLIP, seed=seed), Path(name))
            (times,) = (file for file in Path(name).glob("*.jsonl") if file.name != "log.jsonl")
            seconds = [row["seconds"] for row in read_jsonl(times)]
        enough = [look.update for look in run.curve if look.result >= ENOUGH * run.best.result]
        runs.append(
            {
                "steps": run.curve[-1].steps,
                "seconds": sum(seconds),
                "reached": sum(seconds[: enough[0]]) if enough else None,
                "share": run.share,
            }
        )
    return _measured(case, runs)


def theirs(case: str) -> Measured:
    """A2C until it has 99 % of the optimum or the time is up."""
    torch.set_num_threads(1)
    return _measured(case, [_a2c(seed) for seed in range(SEEDS)])


def _a2c(seed: int) -> dict[str, float | None]:
    import gymnasium
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv

    world = make_world(MAP, SLIP)
    best = optimum(world).result
    states = torch.arange(world.states)

    class Look(BaseCallback):
        """Looks at the exact return every so often and leaves that time out of the account."""

        def __init__(self) -> None:
            super().__init__()
            self.looking, self.share, self.next_look = 0.0, 0.0, 0
            self.reached: float | None = None
            self.started = time.perf_counter()

        @property
        def trained(self) -> float:
            return time.perf_counter() - self.started - self.looking

        def _on_rollout_start(self) -> None:
            if self.num_timesteps < self.next_look:
                return
            self.next_look = self.num_timesteps + LOOK_EVERY
            now, trained = time.perf_counter(), self.trained
            with torch.no_grad():
                chances = self.model.policy.get_distribution(states).distribution.probs
            self.share = expected_return(world, chances.double().numpy()) / best
            self.looking += time.perf_counter() - now
            if self.share >= ENOUGH and self.reached is None:
                self.reached = trained

        def _on_step(self) -> bool:
            return self.reached is None and self.trained < LIMIT

    def make() -> Any:
        return gymnasium.make(GRID_WORLD, map=MAP, slip=SLIP, disable_env_checker=True)

    model = stable_baselines3.A2C(
        "MlpPolicy",
        DummyVecEnv([make] * ENVIRONMENTS),
        gamma=world.discount,
        policy_kwargs={"net_arch": []},
        seed=seed,
        device="cpu",
        **A2C,
    )
    look = Look()
    model.learn(10**9, callback=look)
    return {
        "steps": model.num_timesteps,
        "seconds": look.trained,
        "reached": look.reached,
        "share": look.share,
    }


if __name__ == "__main__":
    main(
        Benchmark(
            title="grid world against stable-baselines3 A2C",
            sides={"stable-baselines3": theirs, "truing": ours},
            cases=[STEPS, OPTIMUM],
            rounds=1,
            settings={
                "map": MAP,
                "slip": SLIP,
                "seeds": SEEDS,
                "limit": LIMIT,
                "threads": 1,
                "peer_settings": {**A2C, "environments": ENVIRONMENTS, "net_arch": []},
            },
        )
    )
