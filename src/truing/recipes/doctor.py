"""`truing doctor`: whether this machine is fit for the work, and what would help where it isn't."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from truing.models import processor
from truing.models.user_cache import ModelUnavailable, bytes_in, cache_folder
from truing.types import InputError
from truing.version import __version__

_NEEDED_BYTES = 5 * 10**9
"""What a default run takes at its peak, about (docs/speed.md)."""
_FREE_BYTES = 2 * 10**9
"""What the default model, its download and a run's candidates take on the disk, about."""
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16", "sve")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
_OPTIONAL = {
    "datasets": "tasks on Hugging Face's hub",
    "reasoning_gym": "tasks of reasoning-gym",
    "verifiers": "tasks of verifiers",
    "inspect_ai": "tasks of Inspect",
    "wandb": "trainings shown to W&B",
    "mlflow": "trainings shown to MLflow",
    "trackio": "trainings shown to trackio",
}


@dataclass(frozen=True)
class Check:
    """What was looked at and seen; `advice` says what to do where it needs attention."""

    name: str
    seen: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is nothing to do."""
        return not self.advice

    def to_json(self) -> dict[str, Any]:
        """One entry of `truing doctor --json`."""
        return {"name": self.name, "ok": self.ok, "seen": self.seen, "advice": self.advice or None}


def doctor() -> list[Check]:
    """Every check, in the order in which they are shown."""
    with ThreadPoolExecutor(1) as pool:  # PyTorch takes longer to load than all else to look at
        with_torch = pool.submit(lambda: list(_with_torch()))
        others = [check() for check in _CHECKS]
        return [others[0], others[1], *with_torch.result(), *others[2:]]


def _versions() -> Check:
    packages = ("torch", "transformers", "pydantic")
    seen = ", ".join(f"{name} {_version(name) or 'missing'}" for name in packages)
    missing = [name for name in packages if not _version(name)]
    advice = f"install {' and '.join(missing)}: pip install truing" if missing else ""
    return Check(
        "versions", f"truing {__version__}, Python {platform.python_version()}, {seen}", advice
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> Check:
    flags = processor.instructions()
    instructions = ", ".join(flag for flag in _FLAGS if flag in flags) or "instructions unknown"
    return Check("processor", f"{processor.name()}, {_cores()} core(s) to use: {instructions}")


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _with_torch() -> Iterator[Check]:
    import torch

    from truing.models.precision import substitution

    why = substitution("bfloat16")
    yield Check(
        "precision", f"float32: {why}" if why else "bfloat16, which this machine is fast in"
    )
    yield _threads(torch.get_num_threads())
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
        seen = ", ".join(f"{card.name} ({card.total_memory / 1e9:.0f} GB)" for card in cards)
    else:
        seen = "none that PyTorch can use; the processor does the work"
    yield Check("card", seen)


def _threads(threads: int) -> Check:
    cores, load = _cores(), _load()
    seen = f"{threads} for PyTorch, load {load:.1f} on {cores} core(s)"
    if threads > cores:
        return Check("threads", seen, f"more threads than cores: set OMP_NUM_THREADS={cores}")
    if load > cores / 2:
        return Check("threads", seen, "other programs keep the processor busy: runs take longer")
    return Check("threads", seen)


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _memory() -> Check:
    memory = psutil.virtual_memory()
    seen = f"{memory.available / 1e9:.1f} GB of {memory.total / 1e9:.1f} GB free"
    few = f"a default run takes about {_NEEDED_BYTES / 1e9:.0f} GB: close other programs"
    return Check("memory", seen, few if memory.available < _NEEDED_BYTES else "")


def _cache() -> Check:
    try:
        folder = cache_folder()
    except (ModelUnavailable, InputError) as error:
        return Check("cache", "no folder", str(error))
    free = shutil.disk_usage(folder).free
    seen = f"{folder}: {bytes_in(folder) / 1e6:,.0f} MB, {free / 1e9:,.0f} GB free on its disk"
    if not os.access(folder, os.W_OK):
        return Check("cache", seen, "can't be written: set TRUING_CACHE to another folder")
    few = "little room: set TRUING_CACHE to a folder on a larger disk"
    return Check("cache", seen, few if free < _FREE_BYTES else "")


def _models() -> Check:
    from truing.models.weights.catalogue import list_models

    listed = list_models()
    here = [entry["name"] for entry in listed if entry["cached"]]
    if here:
        return Check("models", f"{', '.join(here)} of {len(listed)} in the catalogue are here")
    size = min(entry["download_size"] for entry in listed) / 1e6
    return Check("models", f"none here yet; the first run fetches the default one ({size:.0f} MB)")


def _browser() -> Check:
    there = [path for name in _BROWSERS if (path := shutil.which(name))]
    return Check(
        "browser", there[0] if there else "none on the path; pages are files for any browser"
    )


def _database() -> Check:
    server = _version("psycopg")
    postgres = (
        f"PostgreSQL through psycopg {server}" if server else "PostgreSQL: psycopg is missing"
    )
    return Check("database", f"SQLite {sqlite3.sqlite_version}, {postgres}")


def _optional() -> Check:
    there = [name for name in _OPTIONAL if importlib.util.find_spec(name)]
    absent = [f"{name} ({why})" for name, why in _OPTIONAL.items() if name not in there]
    seen = f"here: {', '.join(there) or 'none'}; not here: {', '.join(absent) or 'none'}"
    return Check("optional", seen)


def _terminal() -> Check:
    encoding = getattr(sys.stdout, "encoding", None) or "unknown"
    seen = f"{encoding}, {shutil.get_terminal_size().columns} columns"
    if encoding.lower().replace("-", "") == "utf8":
        return Check("terminal", seen)
    return Check("terminal", seen, "signs are replaced by plain ones: set PYTHONUTF8=1 to see them")


_CHECKS: tuple[Callable[[], Check], ...] = (
    _versions,
    _processor,
    _memory,
    _cache,
    _models,
    _browser,
    _database,
    _optional,
    _terminal,
)
