"""`truing grid` against stable-baselines3's A2C on the same Gymnasium environment.

python benchmarks/grid_vs_sb3.py [--map MAP] [--slip P] [--repeats N] [--json]

Both learn the same policy class: A2C gets no hidden layer, so that on one-hot observations its actor
is a softmax table and its critic a table of values. Both sides are timed while they train: imports,
making environments and looking at the exact return aren't counted. A2C's settings are the best of a
small search (learning rate 0.0007 to 0.1, 1 to 64 environments, by time to 99 % of the optimum).

`ratio` is the peer's time for an environment step over ours; `time_to_optimum_ratio` that to 99 % of
the optimal return (a lower bound where the peer didn't get there before the time was up).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _timing import in_turn, peak_memory_mb, ratios, spread

ENOUGH = 0.99
PEER = {"n_envs": 16, "n_steps": 8, "learning_rate": 0.03, "ent_coef": 0.0, "gae_lambda": 1.0}
THREADS = 1  # tables are too small for more


def ours(options: argparse.Namespace) -> dict[str, Any]:
    """The default run of `truing grid`."""
    from truing.files import read_jsonl
    from truing.grid.training import learn
    from truing.spec import GridSpec

    spec = GridSpec(map=options.map, slip=options.slip, seed=options.seed)
    with tempfile.TemporaryDirectory() as name:
        run = learn(spec, Path(name))
        (times_file,) = (file for file in Path(name).glob("*.jsonl") if file.name != "log.jsonl")
        seconds = [row["seconds"] for row in read_jsonl(times_file)]
    enough = next((k.update for k in run.curve if k.result >= ENOUGH * run.best.result), None)
    return {
        "steps": run.curve[-1].steps,
        "seconds": sum(seconds),
        "steps_per_second": run.curve[-1].steps / sum(seconds),
        "seconds_to_optimum": None if enough is None else sum(seconds[:enough]),
        "share_of_optimum": run.share,
        "peak_memory_mb": peak_memory_mb(),
    }


def peer(options: argparse.Namespace) -> dict[str, Any]:
    """A2C until it has 99 % of the optimum or the time is up."""
    import gymnasium
    import torch
    from stable_baselines3 import A2C
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv

    from truing.environments import GRID_WORLD
    from truing.environments.exact import expected_return, optimum
    from truing.environments.grid_world import make_world

    world = make_world(options.map, options.slip)
    best = optimum(world).result
    states = torch.arange(world.states)

    class Look(BaseCallback):
        """Looks at the exact return every so often, and leaves that time out of the account."""

        def __init__(self) -> None:
            super().__init__()
            self.looking, self.reached, self.share = 0.0, None, 0.0
            self.started = time.perf_counter()
            self.next_look = 0

        @property
        def trained(self) -> float:
            return time.perf_counter() - self.started - self.looking

        def _on_rollout_start(self) -> None:
            if self.num_timesteps < self.next_look:
                return
            self.next_look = self.num_timesteps + 2000
            now, trained = time.perf_counter(), self.trained
            with torch.no_grad():
                chances = self.model.policy.get_distribution(states).distribution.probs
            self.share = expected_return(world, chances.double().numpy()) / best
            self.looking += time.perf_counter() - now
            if self.share >= ENOUGH and self.reached is None:
                self.reached = trained

        def _on_step(self) -> bool:
            return self.reached is None and self.trained < options.seconds

    settings = dict(PEER)
    environments = DummyVecEnv(
        [
            lambda: gymnasium.make(
                GRID_WORLD, map=options.map, slip=options.slip, disable_env_checker=True
            )
        ]
        * int(settings.pop("n_envs"))
    )
    model = A2C(
        "MlpPolicy",
        environments,
        gamma=world.discount,
        policy_kwargs={"net_arch": []},
        seed=options.seed,
        device="cpu",
        **settings,
    )
    look = Look()
    model.learn(10**9, callback=look)
    trained = look.trained
    return {
        "steps": model.num_timesteps,
        "seconds": trained,
        "steps_per_second": model.num_timesteps / trained,
        "seconds_to_optimum": look.reached,
        "share_of_optimum": look.share,
        "peak_memory_mb": peak_memory_mb(),
    }


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turn, and the document."""
    arguments = ["--map", options.map, "--slip", str(options.slip)]
    arguments += ["--seconds", str(options.seconds)]
    found = in_turn(__file__, ("ours", "peer"), arguments, options.repeats, THREADS)

    def column(name: str, key: str) -> list[float]:
        return [row[key] for row in found[name]]

    ours_to = [row["seconds_to_optimum"] or row["seconds"] for row in found["ours"]]
    peer_to = [row["seconds_to_optimum"] or row["seconds"] for row in found["peer"]]
    rates = {name: column(name, "steps_per_second") for name in found}
    return {
        "ratio": ratios(rates["ours"], rates["peer"]),
        "peak_memory_ratio": ratios(
            column("ours", "peak_memory_mb"), column("peer", "peak_memory_mb")
        ),
        "time_to_optimum_ratio": ratios(peer_to, ours_to),
        "steps_per_second": {name: spread(values) for name, values in rates.items()},
        "seconds_to_optimum": {"ours": spread(ours_to), "peer": spread(peer_to)},
        "reached": {
            name: sum(row["seconds_to_optimum"] is not None for row in rows)
            for name, rows in found.items()
        },
        "settings": {
            "map": options.map,
            "slip": options.slip,
            "enough": ENOUGH,
            "repeats": options.repeats,
            "threads": THREADS,
            "peer": "stable-baselines3 A2C",
            "peer_settings": PEER,
            "peer_time_limit": options.seconds,
        },
        "runs": found,
    }


def main() -> None:
    """Prints a summary, or with --json one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--map", default="rooms")
    parser.add_argument("--slip", type=float, default=0.1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=40.0, help="time limit of the peer")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(ours(options) if options.side == "ours" else peer(options)))
        return
    result = compare(options)
    if options.json:
        json.dump(result, sys.stdout, indent=2)
        print()
        return
    for name in ("ratio", "time_to_optimum_ratio", "peak_memory_ratio"):
        print(name, {key: round(value, 2) for key, value in result[name].items()})


if __name__ == "__main__":
    main()
