"""What a stage cost: processor seconds, wall seconds, peak memory, labels, tokens."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass
class Cost:
    """One stage's price. Memory is the peak of the whole process while the stage ran."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_bytes: int = 0
    labels: int = 0
    tokens_sampled: int = 0
    tokens_trained: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Both stages: sums, and the higher peak."""
        total = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)}
        total["peak_memory_bytes"] = max(self.peak_memory_bytes, other.peak_memory_bytes)
        return Cost(**total)

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return dict(self.__dict__)


def give_memory_back() -> None:
    """Returns freed memory to the system where the C library can (glibc); elsewhere does nothing.

    The allocator keeps what a stage freed, in pieces that the next one's tensors don't fit.
    """
    gc.collect()  # models hang in cycles of their modules
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _reset_peak() -> None:
    """Linux can forget the peak so far; elsewhere the peak of the process stands."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """Peak resident memory of this process since the last reset, in bytes."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextlib.contextmanager
def measured() -> Iterator[Cost]:
    """Fills in time and memory of the block when it ends; the block fills in the rest."""
    cost = Cost()
    _reset_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    yield cost
    cost.cpu_seconds += time.process_time() - cpu
    cost.wall_seconds += time.perf_counter() - wall
    cost.peak_memory_bytes = max(cost.peak_memory_bytes, peak_memory_bytes())
