"""`truing eval` in two workers of one thread each against one process of two threads: whole commands.

Each side answers the built-in questions by likelihood, with the default model in float32 and a store that
has nothing; so loading, in two processes where there are two workers, counts. The results are compared
one by one (log-likelihoods in nats), and those of the workers byte by byte with one process of one thread.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from _in_turn import Benchmark, Measured, main
from truing.models.user_cache import cache_folder
from truing.spec.run import Spec

CASES = {"200 questions": "200", "817 questions": "817"}
THREADS = 2
_STORES = ("scores", "answers", "features", "judge_replies")


def _command(case: str, out: Path, options: Sequence[str]) -> list[str]:
    call = "import sys; from truing.cli.main import main; sys.exit(main())"
    return [
        *(sys.executable, "-c", call, "eval", "truthfulness", "--candidate", Spec().model),
        *("--dtype", "float32", "--limit", CASES[case], "--out", str(out), *options),
    ]


def _run(case: str, threads: int, options: Sequence[str] = ()) -> tuple[float, bytes]:
    """Seconds of the command, and its rows. The cache has the models' files and no result."""
    with tempfile.TemporaryDirectory() as name:
        cache, out = Path(name) / "cache", Path(name) / "out"
        cache.mkdir()
        for path in cache_folder().iterdir():
            if path.is_dir():
                (cache / path.name).symlink_to(path)
            elif not path.name.startswith(_STORES):
                shutil.copyfile(path, cache / path.name)
        environment = os.environ | {"TRUING_CACHE": str(cache), "OMP_NUM_THREADS": str(threads)}
        begun = time.perf_counter()
        subprocess.run(
            _command(case, out, options), env=environment, check=True, stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - begun, (out / "rows.jsonl").read_bytes()


def _values(rows: bytes) -> list[float]:
    """Every log-likelihood, in order."""
    found = [json.loads(line)["detail"]["log_likelihoods"] for line in rows.splitlines()]
    return [nats for row in found for side in ("true", "false") for nats in row[side]]


def workers(case: str) -> Measured:
    """Two workers of one thread."""
    seconds, rows = _run(case, THREADS, ("--workers", str(THREADS)))
    _, alone = _run(case, 1)
    same = float(rows == alone)
    return Measured([seconds], {"same bytes as one thread": same}, _values(rows))


def one_process(case: str) -> Measured:
    """One process of two threads."""
    seconds, rows = _run(case, THREADS)
    return Measured([seconds], {}, _values(rows))


BENCHMARK = Benchmark(
    "Two workers against one process",
    {"truing": workers, "one process": one_process},
    list(CASES),
    rounds=3,
    settings={"threads": THREADS},
)

if __name__ == "__main__":
    main(BENCHMARK)
