"""Value functions: the return to be expected from a state, learned beside the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from truing.trajectories import Trajectories


class ValueFunction(Protocol):
    """What baselines and generalised advantages need: a table for the grid, a head for text."""

    def values(self, trajectories: Trajectories) -> Tensor:
        """(B, T) value of the state that each action was taken in; no gradient."""
        ...

    def fit(self, trajectories: Trajectories, target_BT: Tensor) -> float:
        """One update towards the targets; returns the mean squared error before it."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Parameters (and moments) for a checkpoint."""
        ...

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        ...


class TabularValue:
    """A number for each state, moved towards the mean target of its visits.

    `state_of` gives the (B, T) numbers of the states of trajectories. V(s) <- V(s) + rate * (mean
    target at s - V(s)) for every state seen: Monte Carlo prediction (Sutton and Barto, 2018, eq. 6.1).
    """

    def __init__(
        self, states: int, state_of: Callable[[Trajectories], Tensor], rate: float = 0.2
    ) -> None:
        self.table = torch.zeros(states, dtype=torch.float64)
        self.state_of = state_of
        self.rate = rate

    def values(self, trajectories: Trajectories) -> Tensor:
        """See ValueFunction."""
        value_BT = self.table[self.state_of(trajectories)].to(trajectories.log_prob_BT.dtype)
        return value_BT * trajectories.mask_BT

    def fit(self, trajectories: Trajectories, target_BT: Tensor) -> float:
        """See ValueFunction."""
        state_N = self.state_of(trajectories)[trajectories.mask_BT]
        error_N = target_BT[trajectories.mask_BT].double() - self.table[state_N]
        visits_S = torch.zeros_like(self.table).index_add_(0, state_N, torch.ones_like(error_N))
        total_S = torch.zeros_like(self.table).index_add_(0, state_N, error_N)
        self.table = self.table + self.rate * total_S / visits_S.clamp(min=1)
        return float(error_N.square().mean())

    def state(self) -> dict[str, Tensor]:
        """See ValueFunction."""
        return {"table": self.table}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See ValueFunction."""
        self.table = state["table"]
