"""How long a smoke run takes where things are bad: bfloat16 emulated, or another process on the cores.

    python benchmarks/smoke_runs.py emulated [--rounds 3]   # as chosen, against `dtype: float32`
    python benchmarks/smoke_runs.py busy [--rounds 3]       # beside a process that never waits
    python benchmarks/smoke_runs.py spin [--rounds 3]       # alone, against OpenMP's own way of waiting

Each run is a whole `truing align --profile smoke` with the model in the cache, in turn. `emulated` forbids
oneDNN the instructions for bfloat16 (ONEDNN_MAX_CPU_ISA=AVX512_CORE): it calls bfloat16 supported all the
same, as on processors that have AVX-512 but not these. Printed are seconds of wall clock and of processor,
and the ratio of the smallest, with the spread of the rounds'.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

TRUING = Path(sys.executable).with_name("truing")
WITHOUT = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@contextmanager
def _busy() -> Iterator[None]:
    """Beside a process that keeps one core busy."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()


def _seconds(spec: str, variables: dict[str, str]) -> tuple[float, float]:
    """Wall clock and processor time of one run."""
    inherited = {name: value for name, value in os.environ.items() if name not in WAITING}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "spec.yaml"
        file.write_text(spec)
        command = [TRUING, "align", file, "--profile", "smoke", "--out", f"{name}/run"]
        began, before = time.monotonic(), os.times()
        subprocess.run(command, check=True, capture_output=True, env=inherited | variables)
        after = os.times()
    used = after.children_user + after.children_system
    return time.monotonic() - began, used - before.children_user - before.children_system


def _ours(case: str) -> tuple[float, float]:
    with _busy() if case == "busy" else nullcontext():
        return _seconds("{}", WITHOUT if case == "emulated" else {})


def _theirs(case: str) -> tuple[float, float]:
    if case == "emulated":
        return _seconds("{dtype: float32, evaluation: {dtype: float32}}", WITHOUT)
    return _seconds("{}", {"GOMP_SPINCOUNT": "300000"} if case == "spin" else {})


def main() -> None:
    """Runs both in turn and prints what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("case", choices=("emulated", "busy", "spin"))
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    ours, theirs = [], []
    for _ in range(asked.rounds):
        theirs.append(_theirs(asked.case))
        ours.append(_ours(asked.case))
        print(f"{asked.case}: {ours[-1][0]:.1f} s ({ours[-1][1]:.1f} s of processor) against "
              f"{theirs[-1][0]:.1f} s ({theirs[-1][1]:.1f} s)", flush=True)  # fmt: skip
    ratios = sorted(mine[0] / other[0] for mine, other in zip(ours, theirs, strict=True))
    smallest = min(wall for wall, _ in ours) / min(wall for wall, _ in theirs)
    print(f"{asked.case}: {smallest:.2f}x ({ratios[0]:.2f}x to {ratios[-1]:.2f}x)")


if __name__ == "__main__":
    main()
