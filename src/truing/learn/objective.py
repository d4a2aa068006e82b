"""What every objective is: credit for each action, and a loss from credit and log-probabilities.

The two halves are apart so that a large batch can be taken through the model in small pieces: credit
looks at the whole batch and at no gradient; the loss of a piece needs only that piece. The loop adds
the pieces up and divides by the number of trajectories, so that one large piece and many small ones
give the same gradient.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from truing.trajectories import Trajectories


class Objective(Protocol):
    """One way of learning from trajectories."""

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T) credit of each action; 0 where a trajectory teaches nothing. No gradient."""
        ...

    def loss(self, log_prob_BT: Tensor, credit_BT: Tensor, trajectories: Trajectories) -> Tensor:
        """(B,) loss of each trajectory, differentiable in the current log-probabilities."""
        ...
