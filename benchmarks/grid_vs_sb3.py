"""`truing grid` against stable-baselines3's A2C on the same Gymnasium environment.

Both learn the same class of policy: A2C gets no hidden layer, so that on one-hot observations its
actor is a softmax table and its critic a table of values. Only training is timed: imports, making
environments and looking at the exact return aren't. One thread each.

`million steps`: seconds for a million environment steps while training, A2C as it comes (one
environment, five steps an update). `million steps, 64 environments`: the same, with A2C's fastest
setting found. `99 % of the optimum`: seconds of training until the policy's exact return has reached
that share of the optimal one, with the setting that got A2C there first in a search over 1, 16 and 64
environments, 8 and 32 steps an update, learning rates 0.0007 to 0.1. Where a run doesn't get there,
its limit stands for it, and `reached` counts those that did.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from _in_turn import Benchmark, Measured, main
from truing.files import read_jsonl
from truing.grid import GRID_WORLD
from truing.grid.exact import expected_return, optimum
from truing.grid.training import learn
from truing.grid.world import make_world
from truing.spec.grid import GridSpec

MAP, SLIP = "rooms", 0.1
ENOUGH, SEEDS = 0.99, 3
LOOK_EVERY = 2000  # environment steps of the peer
STEPS, MANY, OPTIMUM = "million steps", "million steps, 64 environments", "99 % of the optimum"


@dataclass(frozen=True)
class PeerSettings:
    """What A2C is run with, and when it is stopped (seconds of training)."""

    environments: int
    n_steps: int
    learning_rate: float
    limit: float


SEARCHED = PeerSettings(64, 8, 0.03, 30)
PEER = {
    STEPS: PeerSettings(1, 5, 7e-4, 8),
    MANY: SEARCHED,
    OPTIMUM: SEARCHED,
}


@dataclass(frozen=True)
class Run:
    """Environment steps, seconds of training, those until ENOUGH (None: never), the last share."""

    steps: int
    seconds: float
    reached: float | None
    share: float


def _measured(case: str, runs: Sequence[Run]) -> Measured:
    """The seconds of a case; the work is what the runs came to."""
    if case == OPTIMUM:
        seconds = [run.seconds if run.reached is None else run.reached for run in runs]
    else:
        seconds = [1e6 * run.seconds / run.steps for run in runs]
    work = {
        "steps": sum(run.steps for run in runs),
        "reached": sum(run.reached is not None for run in runs),
        "share_of_optimum": min(run.share for run in runs),
    }
    return Measured(seconds, work)


def ours(case: str) -> Measured:
    """The default run of `truing grid`, to its end."""
    torch.set_num_threads(1)
    runs = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as name:
            run = learn(GridSpec(map=MAP, slip=SLIP, seed=seed), Path(name))
            (times,) = (file for file in Path(name).glob("*.jsonl") if file.name != "log.jsonl")
            seconds = [row["seconds"] for row in read_jsonl(times)]
        enough = [look.update for look in run.curve if look.result >= ENOUGH * run.best.result]
        reached = sum(seconds[: enough[0]]) if enough else None
        runs.append(Run(run.curve[-1].steps, sum(seconds), reached, run.share))
    return _measured(case, runs)


def theirs(case: str) -> Measured:
    """A2C until it has 99 % of the optimum or the time is up."""
    torch.set_num_threads(1)
    return _measured(case, [_a2c(PEER[case], seed) for seed in range(SEEDS)])


def _a2c(settings: PeerSettings, seed: int) -> Run:
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
            return self.reached is None and self.trained < settings.limit

    def make() -> Any:
        return gymnasium.make(GRID_WORLD, map=MAP, slip=SLIP, disable_env_checker=True)

    model = stable_baselines3.A2C(
        "MlpPolicy",
        DummyVecEnv([make] * settings.environments),
        n_steps=settings.n_steps,
        learning_rate=settings.learning_rate,
        gamma=world.discount,
        policy_kwargs={"net_arch": []},
        seed=seed,
        device="cpu",
    )
    look = Look()
    model.learn(10**9, callback=look)
    return Run(model.num_timesteps, look.trained, look.reached, look.share)


if __name__ == "__main__":
    main(
        Benchmark(
            title="grid world against stable-baselines3 A2C",
            sides={"stable-baselines3": theirs, "truing": ours},
            cases=[STEPS, MANY, OPTIMUM],
            rounds=2,
            settings={
                "map": MAP,
                "slip": SLIP,
                "seeds": SEEDS,
                "threads": 1,
                "peer_settings": {case: asdict(settings) for case, settings in PEER.items()},
            },
        )
    )
