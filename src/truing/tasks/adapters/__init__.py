"""Tasks that people already have, read from the packages that they are written for; a file each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from truing.tasks.adapters.adapted import AdaptedTask

__all__ = ["ADAPTERS", "Load"]


class Load(Protocol):
    """Reads a task of another package."""

    def __call__(self, reference: str, *, seed: int, size: int) -> AdaptedTask:
        """The task that `reference` (what follows the colon) names, with at most `size` cases.

        Raises InputError where there is none, or where it can't be had here.
        """
        ...


def _when_called(module: str) -> Load:
    """The module's `load`, imported no earlier than it is called, so that listing tasks stays fast."""

    def load(reference: str, *, seed: int, size: int) -> AdaptedTask:
        adapter: Load = import_module(f"{__name__}.{module}").load
        return adapter(reference, seed=seed, size=size)

    return load


ADAPTERS: dict[str, Load] = {
    "reasoning_gym": _when_called("reasoning_gym"),
    "verifiers": _when_called("verifiers"),
    "inspect": _when_called("inspect"),
}
"""Every adapter by what stands before the colon in `--task`. A new one: a file, and a line here."""
