"""What the system says of the processor; loads no library."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@cache
def lines() -> tuple[str, ...]:
    """As Linux lists it, 'name : value' for each of the processor's cores; nothing elsewhere."""
    try:
        return tuple(_CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return ()


def name() -> str:
    """What it is called."""
    known = _facts().get("model name") or platform.machine()
    return known if lines() else platform.processor() or known


def instructions() -> set[str]:
    """Names of the sets of instructions that it has, where the system says them."""
    facts = _facts()
    return set((facts.get("flags") or facts.get("Features") or "").split())


def _facts() -> dict[str, str]:
    pairs = (line.partition(":") for line in lines())
    return {key.strip(): value.strip() for key, _, value in pairs}
