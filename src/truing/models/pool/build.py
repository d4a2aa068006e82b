"""What must be the same on both sides so that they compute the same: Truing's code, and its libraries."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from truing.types import InputError
from truing.version import __version__

_LIBRARIES = ("torch", "transformers", "tokenizers", "numba")


@cache
def build() -> dict[str, str]:
    """Versions by name, and the hash of Truing's code."""
    return {
        "truing": f"{__version__} ({_code()[:12]})",
        **{name: version(name) for name in _LIBRARIES},
        "python": ".".join(platform.python_version_tuple()[:2]),
    }


def _code() -> str:
    """A hash of every file of Truing's code, by its name in the package."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def check_build(where: str, theirs: object) -> None:
    """Raises InputError where a worker's build isn't ours."""
    told = theirs if isinstance(theirs, dict) else {}
    for name, ours in build().items():
        if told.get(name) != ours:
            raise InputError(
                f"{where}: has {name} {told.get(name, 'unknown')}, but here is {ours}; install the same "
                "version on both, so that they compute the same"
            )
