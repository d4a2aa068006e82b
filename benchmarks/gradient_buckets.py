"""Gradients reduced in buckets against one reduction for each parameter: two processes, gloo, one machine.

    python benchmarks/gradient_buckets.py
    python benchmarks/gradient_buckets.py --rounds 9 --json

The gradients have the shapes of SmolLM2-135M's, random numbers in float32: of a low-rank adapter (rank 16
on all linear layers of its 30, 420 small tensors) and of all weights (272 tensors, one of them of 113
MB). Both ways run in turn in the same two processes, one thread each. Peer: accelerate's `reduce` for
each tensor, which is what was done before. Printed are the number of reductions and the median of the
seconds with the range; the sums are compared, and have to be the same to the last bit (two numbers have
one sum).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.queues import Queue

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor

from truing.runs.buckets import sum_in_buckets

LAYERS, HIDDEN, KEYS, INNER, VOCABULARY, RANK = 30, 576, 192, 1536, 49152, 16
LINEAR = (  # (outputs, inputs) of a layer
    *((HIDDEN, HIDDEN), (KEYS, HIDDEN), (KEYS, HIDDEN), (HIDDEN, HIDDEN)),
    *((INNER, HIDDEN), (INNER, HIDDEN), (HIDDEN, INNER)),
)
CASES = {
    "adapter": [
        shape
        for _ in range(LAYERS)
        for outputs, inputs in LINEAR
        for shape in ((RANK, inputs), (outputs, RANK))
    ],
    "all weights": [
        (VOCABULARY, HIDDEN),
        *(shape for _ in range(LAYERS) for shape in (*LINEAR, (HIDDEN,), (HIDDEN,))),
        (HIDDEN,),
    ],
}
Way = Callable[[list[Tensor]], int]


def _one_by_one(gradients: list[Tensor]) -> int:
    for gradient in gradients:
        gradient.copy_(reduce(gradient, "sum"))
    return len(gradients)


def _in_buckets(gradients: list[Tensor]) -> int:
    return sum_in_buckets(gradients, torch.device("cpu"))


WAYS: dict[str, Way] = {"one by one": _one_by_one, "in buckets": _in_buckets}


def _gradients(case: str, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in CASES[case]]


def _process(rank: int, port: int, rounds: int, results: Queue[dict[str, object]]) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
    )
    torch.set_num_threads(1)
    state = PartialState(cpu=True)
    for case in CASES:
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        reductions, sums = {}, {}
        for _ in range(rounds + 1):  # the first isn't counted
            for way, work in WAYS.items():
                gradients = _gradients(case, rank)
                state.wait_for_everyone()
                started = time.perf_counter()
                reductions[way] = work(gradients)
                seconds[way].append(time.perf_counter() - started)
                sums[way] = gradients
        same = all(map(torch.equal, *sums.values()))
        counted = {way: each[1:] for way, each in seconds.items()}
        if rank == 0:
            results.put({"case": case, "reductions": reductions, "seconds": counted, "same": same})
    state.wait_for_everyone()
    torch.distributed.destroy_process_group()


def _port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _said(result: dict[str, object]) -> str:
    lines = [f"{result['case']}:"]
    seconds, reductions = result["seconds"], result["reductions"]
    assert isinstance(seconds, dict) and isinstance(reductions, dict)
    for way, each in seconds.items():
        spread = f"{1e3 * min(each):.1f} to {1e3 * max(each):.1f}"
        middle = 1e3 * statistics.median(each)
        lines.append(f"  {way}: {reductions[way]} reductions, {middle:.1f} ms ({spread})")
    ratios = [a / b for a, b in zip(seconds["one by one"], seconds["in buckets"], strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    lines.append(
        f"  ratio: {statistics.median(ratios):.2f} ({spread}); same sums: {result['same']}"
    )
    return "\n".join(lines)


def main() -> None:
    """Runs both ways in turn, and prints what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    context = get_context("spawn")
    results, port = context.Queue(), _port()
    processes = [
        context.Process(target=_process, args=(rank, port, asked.rounds, results))
        for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=600) for _ in CASES]
    for process in processes:
        process.join()
    print(json.dumps(found) if asked.json else "\n".join(map(_said, found)))
    if not all(result["same"] for result in found):
        raise SystemExit("the sums differ")


if __name__ == "__main__":
    main()
