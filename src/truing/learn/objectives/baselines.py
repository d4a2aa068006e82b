"""Baselines: what an action is compared with. Subtracting one leaves the expected gradient as it is,
if it doesn't depend on the action, and can cut the variance (Williams, 1992; Greensmith et al., 2004).

That holds for all of these: a constant, an average of *earlier* batches, the other samples of the same
start, a value function fitted to *earlier* batches. An average that includes the sample itself would
not (see grpo.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from truing.learn.objectives.credit import leave_one_out
from truing.learn.objectives.values import ValueFunction
from truing.policies.trajectories import Trajectories
from truing.types import InputError


class Baseline(ABC):
    """A component of objectives. `return_BT` is what each action is credited with before it.

    `smallest_group` is the least number of samples of a start that it needs.
    """

    smallest_group: ClassVar[int] = 1

    @abstractmethod
    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """(B, T) returns minus the baseline; NaN or 0 where nothing is known."""

    def learn(self, trajectories: Trajectories, return_BT: Tensor) -> dict[str, float]:
        """Learns from the batch, after the policy did; what to log."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What has been learned, for a checkpoint."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        assert not state, "a baseline that learns overrides this"


@dataclass(frozen=True)
class Constant(Baseline):
    """The same number for every action; 0 is no baseline."""

    value: float = 0.0

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT - self.value


class LeaveOneOut(Baseline):
    """The mean of the other samples of the same start (RLOO); see credit.leave_one_out.

    With returns-to-go, the mean of the others' at the same time.
    """

    smallest_group: ClassVar[int] = 2

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return leave_one_out(return_BT, trajectories.group_B)


@dataclass
class MovingAverage(Baseline):
    """An exponentially weighted mean of the returns of earlier batches; 0 for the first.

    Each batch counts `rate` of the whole. Starting weights are corrected as in Adam (Kingma and Ba,
    2015, section 3), so that the second batch sees the mean of the first.
    """

    rate: float = 0.1
    total: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    weight: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise InputError(f"rate: must be above 0 and at most 1, got {self.rate}")

    @property
    def value(self) -> float:
        """The mean as it stands."""
        return float(self.total / self.weight) if self.weight > 0 else 0.0

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT - self.value

    def learn(self, trajectories: Trajectories, return_BT: Tensor) -> dict[str, float]:
        """Takes the batch's mean return in."""
        counted_BT = trajectories.mask_BT & trajectories.scored_B[:, None]
        if counted_BT.any():
            mean = return_BT[counted_BT].double().mean()
            self.total = (1 - self.rate) * self.total + self.rate * mean
            self.weight = (1 - self.rate) * self.weight + self.rate
        return {"baseline": self.value}

    def state(self) -> dict[str, Tensor]:
        """See Baseline."""
        return {"total": self.total, "weight": self.weight}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Baseline."""
        self.total, self.weight = state["total"], state["weight"]


@dataclass(frozen=True)
class LearnedValue(Baseline):
    """The value of the state that the action was taken in, by a value function that is learned."""

    values: ValueFunction

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT - self.values.values(trajectories)

    def learn(self, trajectories: Trajectories, return_BT: Tensor) -> dict[str, float]:
        """One update of the value function towards the returns."""
        scored = trajectories.scored_B.nonzero()[:, 0].tolist()
        if not scored:
            return {}
        return {"value_loss": self.values.fit(trajectories.select(scored), return_BT[scored])}

    def state(self) -> dict[str, Tensor]:
        """See Baseline."""
        return self.values.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Baseline."""
        self.values.load(state)
