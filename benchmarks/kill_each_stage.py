"""Kills a run of `truing align` in each of its stages, finishes it; compares it with one left alone.

The real model, the smoke profile, the real command, SIGKILL. The one run is killed somewhere in every
stage (where, is drawn from --seed and the stage's length in the other), started again each time, and
finished. Then every file of both is compared, byte for byte: candidates, adapters, rows, logs, judges.
What tells the time is left out (in a checkpoint, that is an entry of its metadata). Exit code 1 where
something differs.

    python benchmarks/kill_each_stage.py
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

TIMED = ("*.times.jsonl", "stages/*.json", "report.html", "logs/tensorboard/*/*", ".lock")
"""Files that tell how long something took."""
TIMES = ("created", "finished", "costs", "command", "run", "times")
"""Keys that do in others, or that name the folder."""
TITLES = {
    "base": "Base model",
    "reward": "Reward model",
    "prompt": "Prompt: choosing",
    "sft": "Supervised fine-tuning",
    "rl": "Reinforcement learning",
}
"""What the command says when a stage begins."""
WAIT = 0.02  # seconds between looks


def command(out: Path) -> list[str]:
    """The command whose run is killed."""
    return [
        sys.executable,
        "-m",
        "truing.cli.main",
        "align",
        "--profile",
        "smoke",
        "--out",
        str(out),
    ]


def started(out: Path, log: Path) -> subprocess.Popen[bytes]:
    """The command in a process of its own, its messages in a file."""
    with log.open("ab") as file:
        return subprocess.Popen(command(out), stdout=file, stderr=file)


def finish(out: Path, log: Path) -> None:
    """Runs the command to its end. Raises SystemExit where it fails."""
    code = started(out, log).wait()
    if code:
        sys.stderr.write(log.read_text(encoding="utf-8")[-3000:])
        raise SystemExit(f"{out}: the command ended with code {code}")


def stages(run: Path) -> list[tuple[str, float]]:
    """Names of a finished run's stages in order, and how many seconds each took."""
    marks = sorted((run / "stages").glob("*.json"), key=lambda mark: mark.stat().st_mtime_ns)
    return [(m.stem, json.loads(m.read_text("utf-8"))["cost"]["wall_seconds"]) for m in marks]


def title(stage: str) -> str:
    """The beginning of the line that says that a stage has begun."""
    name = stage.partition("-seed")[0]
    return TITLES.get(name) or f"Measuring {name.removeprefix('evaluate-')},"


def kill_in(out: Path, stage: str, delay: float, log: Path) -> bool:
    """Starts the run and kills it `delay` seconds into a stage; whether it was killed there."""
    log.unlink(missing_ok=True)
    process = started(out, log)
    while process.poll() is None:
        if any(line.startswith(title(stage)) for line in log.read_text("utf-8").splitlines()):
            break
        time.sleep(WAIT)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL and not (out / "stages" / f"{stage}.json").exists()


def _content(file: Path) -> Any:
    """What is in a file, without what tells the time."""
    if file.name in ("run.json", "summary.json"):
        return _untimed(json.loads(file.read_text(encoding="utf-8")))
    if file.name == "state.safetensors":
        with safe_open(file, framework="numpy") as stored:
            tensors = {key: stored.get_tensor(key).tobytes() for key in stored.keys()}  # noqa: SIM118
            return _untimed(stored.metadata()), tensors
    return file.read_bytes()


def _untimed(read: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in read.items() if key not in TIMES}


def _files(run: Path) -> dict[str, Path]:
    """Every file by its name in the run; TensorBoard's without the second at which they begin."""
    files = (path for path in run.rglob("*") if path.is_file())
    return {re.sub(r"tfevents\.\d+", "tfevents", str(f.relative_to(run))): f for f in files}


def differences(one: Path, other: Path) -> list[str]:
    """Files that only one of two runs has, or that aren't the same in both."""
    ours, theirs = _files(one), _files(other)
    found = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            found.append(f"{name}: only in the run {'left alone' if name in ours else 'killed'}")
        elif not _is_timed(name) and _content(ours[name]) != _content(theirs[name]):
            found.append(f"{name}: differs")
    return found


def _is_timed(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in TIMED)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="draws the moments")
    parser.add_argument("--keep", type=Path, help="leave both runs in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        whole, cut, log = folder / "whole", folder / "cut", folder / "log.txt"
        print("A run left alone ...", file=sys.stderr, flush=True)
        finish(whole, log)
        chance = random.Random(options.seed)
        killed, known = 0, stages(whole)
        for stage, seconds in known:
            delay = chance.uniform(0.1, 0.9) * seconds
            inside = kill_in(cut, stage, delay, log)
            killed += inside
            where = f"killed {delay:.1f} s into" if inside else "NOT killed in"
            print(f"{where} {stage} ({seconds:.1f} s)", file=sys.stderr, flush=True)
        finish(cut, log)
        found = differences(whole, cut)
        compared = sum(path.is_file() for path in whole.rglob("*"))
        for line in found:
            print(line)
        print(f"killed in {killed} of {len(known)} stages; {compared} files, {len(found)} differ")
        if found or killed < len(known):
            raise SystemExit(1)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
