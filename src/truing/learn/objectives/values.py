"""Value functions: the return to be expected from a state, learned beside the policy.

On a grid a state has a number, and its value stands in a table. A text has too many states for that:
its value is linear in features of the state (`text_states.py` has them).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from truing.policies.trajectories import Trajectories
from truing.types import InputError


@runtime_checkable
class ValueFunction(Protocol):
    """What baselines and generalised advantages need."""

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


class StateFeatures(Protocol):
    """What a learned value knows of the states of trajectories."""

    @property
    def size(self) -> int:
        """E, how many features a state has."""
        ...

    def __call__(self, trajectories: Trajectories) -> Tensor:
        """(B, T, E) features of the state that each action was taken in."""
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


class LinearValue:
    """V(s) = w features(s) + b, by ridge regression on the targets of all batches so far.

    `features_of` gives the (B, T, E) features of the states of trajectories, `size` is E. The means
    over a batch of x x^T and of x times the target, x = (features, 1), are averaged over batches as
    MovingAverage averages returns: each counts `rate` of the whole. (w, b) are their regression, with
    a penalty on w of `ridge` times the mean square of a feature. Without features this is
    MovingAverage. Monte Carlo prediction by least squares: LSTD(1) of Boyan (2002), "Technical update:
    least-squares temporal difference learning", that forgets.
    """

    def __init__(
        self,
        features_of: Callable[[Trajectories], Tensor],
        size: int,
        rate: float = 0.1,
        ridge: float = 0.1,
    ) -> None:
        if not 0 < rate <= 1:
            raise InputError(f"rate: must be above 0 and at most 1, got {rate}")
        self.features_of = features_of
        self.rate = rate
        self.ridge = ridge
        self.squares = torch.zeros(size + 1, size + 1, dtype=torch.float64)
        self.products = torch.zeros(size + 1, dtype=torch.float64)
        self.weights = torch.zeros(size + 1, dtype=torch.float64)

    def _inputs(self, trajectories: Trajectories) -> Tensor:
        """(N, E + 1) features of every action's state and a 1."""
        features_NE = self.features_of(trajectories)[trajectories.mask_BT].double()
        return torch.cat((features_NE, torch.ones(len(features_NE), 1, dtype=torch.float64)), 1)

    def values(self, trajectories: Trajectories) -> Tensor:
        """See ValueFunction. 0 before the first batch."""
        value_N = self._inputs(trajectories) @ self.weights
        mask_BT, dtype = trajectories.mask_BT, trajectories.log_prob_BT.dtype
        return torch.zeros(mask_BT.shape, dtype=dtype).masked_scatter(mask_BT, value_N.to(dtype))

    def fit(self, trajectories: Trajectories, target_BT: Tensor) -> float:
        """See ValueFunction."""
        inputs_NF = self._inputs(trajectories)
        target_N = target_BT[trajectories.mask_BT].double()
        error_N = target_N - inputs_NF @ self.weights
        new, count = self.rate, len(inputs_NF)
        self.squares = (1 - new) * self.squares + new * inputs_NF.T @ inputs_NF / count
        self.products = (1 - new) * self.products + new * inputs_NF.T @ target_N / count
        self.weights = self._solved()
        return float(error_N.square().mean())

    def _solved(self) -> Tensor:
        squares_E = self.squares.diagonal()[:-1]
        penalty = torch.zeros_like(self.products)
        if len(squares_E):
            # Never quite 0: features that depend on one another leave the weights undecided.
            penalty[:-1] = self.ridge * squares_E.mean() + 1e-12
        weights: Tensor = torch.linalg.solve(self.squares + penalty.diag(), self.products)
        return weights

    def state(self) -> dict[str, Tensor]:
        """See ValueFunction."""
        return {"squares": self.squares, "products": self.products, "weights": self.weights}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See ValueFunction."""
        self.squares, self.products = state["squares"], state["products"]
        self.weights = state["weights"]
