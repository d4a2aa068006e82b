"""How surely `truing grid` finds the optimum: five maps, without and with slip, twenty seeds each.

python benchmarks/grid_seeds.py [--seeds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from truing.grid.map import BUILT_IN
from truing.grid.training import learn
from truing.spec.grid import GridSpec

SLIPS = (0.0, 0.2)
ENOUGH = 0.99


def measured(name: str, slip: float, seeds: int) -> dict[str, object]:
    """Shares of the optimal return and seconds, over seeds."""
    shares, seconds = [], []
    for seed in range(seeds):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            run = learn(GridSpec(map=name, slip=slip, seed=seed), Path(folder))
        shares.append(run.share)
        seconds.append(time.perf_counter() - started)
    return {
        "map": name,
        "slip": slip,
        "seeds": seeds,
        "reached": sum(share >= ENOUGH for share in shares),
        "share": {"median": float(np.median(shares)), "min": min(shares), "max": max(shares)},
        "seconds": {"median": float(np.median(seconds)), "max": max(seconds)},
    }


def main() -> None:
    """Prints a line for each map, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in BUILT_IN:
        for slip in SLIPS:
            row = measured(name, slip, options.seeds)
            rows.append(row)
            text = (
                f"{name:8} slip {slip}: {row['reached']} of {row['seeds']} seeds reach "
                f"{ENOUGH:.0%} of the optimum; lowest {row['share']['min']:.4f}, "  # type: ignore[index]
                f"{row['seconds']['median']:.2f} s each"  # type: ignore[index]
            )
            print(text, file=sys.stderr if options.json else sys.stdout, flush=True)
    if options.json:
        print(json.dumps({"runs": rows, "enough": ENOUGH}, indent=2))


if __name__ == "__main__":
    main()
