"""Policies that are tables: one row for each state.

`SoftmaxTable` is to the grid what `LanguagePolicy` is to text: the loop trains it with the same
objectives. Its trajectories carry `data` (B, T, 2): the state that was seen and the action taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from truing.policies.trajectories import Trajectories

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def visited(trajectories: Trajectories) -> Tensor:
    """(B, T) the states that the actions were taken in."""
    state_BT: Tensor = trajectories.data[..., 0]
    return state_BT


def _looked_up(table_N: Tensor, place_BT: Tensor) -> Tensor:
    """(B, T) entries of a table. Its backward pass is several times faster than plain indexing's."""
    return table_N.index_select(0, place_BT.flatten()).view_as(place_BT)


class SoftmaxTable:
    """A stochastic policy: the probabilities of a state's actions are the softmax of its logits.

    It begins with all actions equally likely.
    """

    def __init__(self, states: int, actions: int = 4) -> None:
        self.logits = nn.Parameter(torch.zeros(states, actions))

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """See learn.loop.Policy."""
        return {"logits": self.logits}

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        """(B, T) current log-probabilities (nats), 0 outside the mask. Differentiable."""
        table_SA = self.logits.log_softmax(-1)
        state_BT, action_BT = trajectories.data.unbind(-1)
        place_BT = state_BT * table_SA.shape[1] + action_BT
        return _looked_up(table_SA.flatten(), place_BT) * trajectories.mask_BT

    def log_probs_and_entropies(self, trajectories: Trajectories) -> tuple[Tensor, Tensor]:
        """(B, T) as `log_probs`, and the entropies (nats) of the states' actions."""
        log_SA = self.logits.log_softmax(-1)
        entropy_S = -(log_SA.exp() * log_SA).sum(-1)
        entropy_BT = _looked_up(entropy_S, visited(trajectories)) * trajectories.mask_BT
        return self.log_probs(trajectories), entropy_BT

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        """See learn.loop.Policy: everything at once."""
        yield range(len(trajectories))

    def probabilities(self) -> Floats:
        """(S, A) probabilities, in float64."""
        found: Floats = self.logits.detach().double().softmax(-1).numpy()
        return found


@dataclass(frozen=True)
class DeterministicTable:
    """One action for each state: `action_S` (S,)."""

    action_S: Ints
    actions: int = 4

    def probabilities(self) -> Floats:
        """(S, A) 1 for the chosen action, 0 for the others."""
        return np.eye(self.actions)[self.action_S]

    @staticmethod
    def greedy(policy: SoftmaxTable) -> DeterministicTable:
        """The likeliest action of each state; of equals the first."""
        logits = policy.logits.detach()
        return DeterministicTable(logits.argmax(-1).numpy(), logits.shape[1])


class Actor:
    """Draws actions from a table of probabilities as it is now."""

    def __init__(self, policy_SA: Floats) -> None:
        # The last bound is left out: whatever lies above the others is the last action.
        self._bounds_AS = np.ascontiguousarray(policy_SA.cumsum(1)[:, :-1].T)

    def act(self, state_B: Ints, uniform_B: Floats) -> Ints:
        """(B,) actions; `uniform_B` are draws from [0, 1)."""
        action_B = np.zeros(len(state_B), dtype=np.int64)
        for bound_S in self._bounds_AS:
            action_B += uniform_B >= bound_S[state_B]
        return action_B
