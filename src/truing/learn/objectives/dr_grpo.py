"""Dr. GRPO: GRPO without the standard deviation and without the mean over tokens.

    loss = (1/B) sum_b sum_t clipped surrogate(A_b),    A_b = R_b - mean of the group's returns

Liu et al. (2025), "Understanding R1-Zero-like training", section 3.2. At the first
update its gradient is (G - 1)/G times that of leave-one-out: unbiased up to that scale.

Departures: none; the paper's code divides by a constant length, which a learning rate absorbs.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from truing.learn.objectives.credit import minus_group_mean
from truing.learn.objectives.grpo import Grpo
from truing.learn.objectives.objective import Sampled
from truing.policies.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class DrGrpo(Grpo):
    """GRPO done right."""

    def advantage(self, return_B: Tensor, group_B: Tensor) -> Tensor:
        """(B,) the return minus its group's mean."""
        return minus_group_mean(return_B, group_B)

    def weight(self, trajectories: Trajectories) -> Tensor:
        """(B, T): 1, for a sum over the actions."""
        return Sampled.weight(self, trajectories)
