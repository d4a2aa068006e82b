"""Rejection sampling: supervised learning on the best sample of each prompt.

    loss = -(1/B) sum_b c_b sum_t log p(a_bt | s_bt),    c_b = 1/k for the k best of a group, else 0

Dong et al. (2023), "RAFT", algorithm 1, with one update for each batch. Its gradient has the expectation
of the gradient of log p at the best of G samples: it favours high rewards and ignores the others.

Departures: ties share the 1. A group whose returns are all equal has no best and no gradient.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from truing.learn.objectives.credit import Groups
from truing.learn.objectives.objective import Sampled, for_each_action
from truing.policies.trajectories import Trajectories


class RejectionSampling(Sampled):
    """Likelihood of the best of each group."""

    name: Literal["rejection_sampling"] = "rejection_sampling"

    @property
    def smallest_group(self) -> int:
        """See ObjectivePart."""
        return 2

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"rejection sampling, the best of {samples_per_prompt}"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): 1 for the best trajectory of each group, shared among equals."""
        return_B = self.rewards(trajectories).sum(1)
        groups = Groups(return_B, trajectories.group_B)
        best_B = (groups.differ() & (groups.filled == groups.highest())).to(return_B.dtype)
        credit_B = best_B / groups.total(best_B).clamp(min=1)
        return for_each_action(credit_B, trajectories)
