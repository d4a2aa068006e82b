"""Independent passes side by side, each in a thread of its own with its share of the cores.

What stands between a model's matrix products (norms, rotations, masks, sums) keeps one core busy and the
others waiting. Two passes at once fill each other's gaps. Each is computed as it would be alone with so
many cores, so that the results don't depend on which thread was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

WORKERS = 2  # passes at once; more would wait for each other in Python

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def workers(device: torch.device, threads: int | None = None) -> int:
    """How many passes to run at once with so many threads (without: this process's): 1 where there is but
    one core to share, or another device."""
    return min(WORKERS, threads or torch.get_num_threads()) if device.type == "cpu" else 1


def threads_each(threads: int, parts: int, together: int) -> int:
    """How many of the threads a part gets of which so many run together."""
    return threads // max(1, min(together, parts))


def in_parallel(
    work: Callable[[_Part], _Result], parts: Sequence[_Part], together: int
) -> list[_Result]:
    """The work's results in the order of the parts, so many of which run `together`.

    Raises what the first failing part raises. Without gradients where the caller is without. `work`
    must be safe to run in several threads.
    """
    together = min(together, len(parts))
    if together < 2:
        return [work(part) for part in parts]
    threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
    gradients = torch.is_grad_enabled()

    def as_the_caller(part: _Part) -> _Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return work(part)

    each = threads_each(threads, len(parts), together)
    torch.set_num_threads(each)  # what new threads begin with
    try:
        with ThreadPoolExecutor(together) as pool:
            return list(pool.map(as_the_caller, parts))
    finally:
        torch.set_num_threads(threads)
