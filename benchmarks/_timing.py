"""What the benchmarks share: each side in a process of its own, in turn, and the spread of repeats."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and greatest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def peak_memory_mb() -> float:
    """The most memory that this process has held, in MB."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / 1024 if sys.platform != "darwin" else kilobytes / 1024**2


def side(script: str, name: str, arguments: Sequence[str], threads: int) -> dict[str, Any]:
    """Runs `script --side NAME` anew and returns the JSON object in its last line of output."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
    }
    command = [sys.executable, str(Path(script).resolve()), "--side", name, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: ended with exit code {done.returncode}; its messages are above")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def in_turn(
    script: str, names: Sequence[str], arguments: Sequence[str], repeats: int, threads: int
) -> dict[str, list[dict[str, Any]]]:
    """Both sides one after the other, `repeats` times, each time with another `--seed`."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names:
            result = side(script, name, [*arguments, "--seed", str(repeat)], threads)
            found[name].append(result)
            print(
                f"{name}, repeat {repeat + 1} of {repeats}: {json.dumps(result)}", file=sys.stderr
            )
    return found


def ratios(over: Sequence[float], under: Sequence[float]) -> dict[str, float]:
    """Spread of the ratios of repeats that ran next to each other."""
    return spread([one / other for one, other in zip(over, under, strict=True)])
