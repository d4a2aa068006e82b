"""When to stop before the last step. A rule sees the log, so that a run taken up again decides alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from truing.types import InputError


class StopRule(Protocol):
    """Says why to stop after the last of these rows, or nothing."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """The reason in a few words; empty to go on."""
        ...


@dataclass(frozen=True)
class KlAbove:
    """Stops where the KL to the reference exceeds `limit` nats per trajectory."""

    limit: float

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """See StopRule."""
        kl = rows[-1].get("kl")
        if kl is None or kl <= self.limit:
            return ""
        return f"KL {kl:.1f} nats per trajectory, above the limit of {self.limit:g}"


@dataclass(frozen=True)
class RewardPlateau:
    """Stops where the reward, averaged over `window` steps, has not risen for `patience` steps.

    It has risen where it exceeds the best average so far by more than `least_gain`. Steps without a
    reward don't count.
    """

    patience: int
    window: int = 5
    least_gain: float = 0.0

    def __post_init__(self) -> None:
        if self.patience < 1 or self.window < 1:
            raise InputError("patience and window: must be at least 1 step each")

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """See StopRule."""
        rewards = [row["reward"] for row in rows if row.get("reward") is not None]
        if len(rewards) < self.window + self.patience:
            return ""
        averages = np.convolve(rewards, np.full(self.window, 1 / self.window), mode="valid")
        best, best_at = -np.inf, 0
        for place, average in enumerate(averages):
            if average > best + self.least_gain:
                best, best_at = average, place
        if len(averages) - 1 - best_at < self.patience:
            return ""
        return f"the reward has not risen above {best:.3f} for {self.patience} steps"
