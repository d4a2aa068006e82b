"""Runs us and a peer in turn on the same work, each in a process of its own, and compares.

A benchmark is a script with two or more *cases* and two *sides*, 'truing' and the peer. Each side is a
function from a case to the seconds that each repetition took (warm-up left out). The parent process
starts the sides one after the other, so that neither has the other's memory, threads or caches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from truing.models.precision import has_fast_bfloat16
from truing.runs.costs import peak_memory_bytes


@dataclass(frozen=True)
class Measured:
    """Seconds of each repetition, and figures of the work that was done (both sides' must agree).

    `values` are results that should be equal one by one, where both sides compute the same.
    """

    seconds: Sequence[float]
    work: Mapping[str, float] = field(default_factory=dict)
    values: Sequence[float] = ()


@dataclass(frozen=True)
class Benchmark:
    """`sides`: 'truing' and the peer. `cases`: the first is the one whose ratio is the headline.

    `rounds` are the headline's, and those of all cases where `every_round` says so; `per_second`: the
    figure of the work that is shown per second, too.
    """

    title: str
    sides: Mapping[str, Callable[[str], Measured]]
    cases: Sequence[str]
    rounds: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)
    every_round: bool = False
    per_second: str = ""

    @property
    def peer(self) -> str:
        """The side that isn't ours."""
        return next(name for name in self.sides if name != "truing")


def _one_side(benchmark: Benchmark, side: str, case: str) -> None:
    """In the child: measures and prints one JSON document as the last line."""
    measured = benchmark.sides[side](case)
    document = {
        "seconds": list(measured.seconds),
        "work": dict(measured.work),
        "values": list(measured.values),
        "peak_bytes": peak_memory_bytes(),  # its own: ru_maxrss begins at that of whoever forked it
    }
    print(json.dumps(document), flush=True)


def _child(side: str, case: str) -> dict[str, Any]:
    command = [sys.executable, sys.argv[0], "--side", side, "--case", case]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{side}, {case}: failed with code {done.returncode}")
    document: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return document


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _compare(benchmark: Benchmark, case: str, rounds: int) -> dict[str, Any]:
    seen: dict[str, list[dict[str, Any]]] = {side: [] for side in benchmark.sides}
    for number in range(rounds):
        for side in benchmark.sides:
            print(
                f"{case}: {side}, round {number + 1} of {rounds} ...", file=sys.stderr, flush=True
            )
            seen[side].append(_child(side, case))
    seconds = {side: [s for run in runs for s in run["seconds"]] for side, runs in seen.items()}
    peak = {side: max(run["peak_bytes"] for run in runs) for side, runs in seen.items()}
    pairs = zip(seconds[benchmark.peer], seconds["truing"], strict=False)
    work = {side: runs[-1]["work"] for side, runs in seen.items()}
    return {
        "ratio": _spread([theirs / ours for theirs, ours in pairs]),
        "peak_memory_ratio": peak["truing"] / peak[benchmark.peer],
        "seconds": {side: _spread(values) for side, values in seconds.items()},
        "peak_gigabytes": {side: value / 1e9 for side, value in peak.items()},
        "work": work,
        **_rates(benchmark.per_second, work, seconds),
        **_difference(seen["truing"][-1]["values"], seen[benchmark.peer][-1]["values"]),
    }


def _rates(
    name: str, work: Mapping[str, Mapping[str, float]], seconds: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    """How much of a figure each side does in a second, at its median; nothing without a name."""
    if not name:
        return {}
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    return {"per_second": {side: work[side][name] / medians[side] for side in work}}


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """How far apart the sides' results are; nothing where there are none."""
    if not ours and not theirs:
        return {}
    apart = [abs(a - b) for a, b in zip(ours, theirs, strict=True)]
    return {"largest_difference": max(apart), "values_compared": len(apart)}


def _show(benchmark: Benchmark, case: str, found: Mapping[str, Any]) -> None:
    ratio = found["ratio"]
    print(f"\n{case}: {ratio['median']:.2f}x ({ratio['min']:.2f} to {ratio['max']:.2f})")
    if "largest_difference" in found:
        apart, compared = found["largest_difference"], found["values_compared"]
        print(f"  largest difference of {compared} results: {apart:.2g}")
    for side in benchmark.sides:
        seconds, peak = found["seconds"][side]["median"], found["peak_gigabytes"][side]
        rate = ""
        if benchmark.per_second:
            rate = f"{found['per_second'][side]:8.1f} {benchmark.per_second}/s   "
        print(f"  {side:14s} {seconds:8.3f} s   {rate}peak {peak:5.2f} GB   {found['work'][side]}")


def is_slow(case: str) -> bool:
    """Whether a peer takes minutes for a step of it: in bfloat16, on a processor that is slow in it."""
    return case.endswith("bfloat16") and not has_fast_bfloat16()


def _affordable(cases: Sequence[str]) -> list[str]:
    """All cases but the slow ones."""
    slow = [case for case in cases if is_slow(case)]
    if slow:
        left = ", ".join(slow)
        print(
            f"left out, the processor is slow in bfloat16: {left} (--case runs it)", file=sys.stderr
        )
    return [case for case in cases if case not in slow]


def main(benchmark: Benchmark) -> None:
    """The command line of a benchmark script."""
    parser = argparse.ArgumentParser(description=benchmark.title)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--case", choices=benchmark.cases, help="only this case")
    parser.add_argument("--rounds", type=int, default=benchmark.rounds)
    parser.add_argument("--side", choices=list(benchmark.sides), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return _one_side(benchmark, options.side, options.case)
    cases = [options.case] if options.case else _affordable(benchmark.cases)
    # The headline gets all rounds; the others, where they are there for completeness, one.
    found = {
        case: _compare(
            benchmark,
            case,
            options.rounds if case == cases[0] or benchmark.every_round else 1,
        )
        for case in cases
    }
    headline = found[cases[0]]
    if options.json:
        document = {
            "benchmark": benchmark.title,
            "ratio": headline["ratio"],
            "peak_memory_ratio": headline["peak_memory_ratio"],
            **{key: headline[key] for key in ("largest_difference",) if key in headline},
            "settings": {
                **benchmark.settings,
                "case": cases[0],
                "peer": benchmark.peer,
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
            },
            "cases": found,
        }
        print(json.dumps(document, indent=2))
    else:
        for case in cases:
            _show(benchmark, case, found[case])
    return None
