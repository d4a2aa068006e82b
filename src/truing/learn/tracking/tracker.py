"""What a tracker is: a training begins with it, shows it steps, and ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Training:
    """What is tracked. Its `id` is the same whenever it is taken up again."""

    id: str
    name: str
    """`rl-seed0`, say."""
    group: str
    """What the trainings of one run have in common."""
    project: str
    folder: Path
    """Where a tracker that keeps files keeps them, in a folder of its own."""
    config: Mapping[str, Any]
    """All settings: the resolved spec."""
    online: bool = False
    """Whether anything may leave this machine."""


class Tracker(Protocol):
    """Whoever is shown a training. What its methods raise ends no training; they are called on one thread
    of their own, and one that doesn't come back is left there."""

    def begin(self, training: Training) -> int:
        """Begins, or goes on in the same place; gives the last step that is shown there, 0 for none."""
        ...

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Shows a step's figures."""
        ...

    def end(self, summary: Mapping[str, float | str], finished: bool) -> None:
        """Shows the last figures. Not `finished`: the training was interrupted, and may go on."""
        ...


@runtime_checkable
class Restoring(Protocol):
    """A tracker that changes something of the process for a while."""

    def restore(self) -> None:
        """Gives back what it has changed, where a call doesn't come back and can't do so itself."""
        ...
