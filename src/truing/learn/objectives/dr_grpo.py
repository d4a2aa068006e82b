"""Dr. GRPO: GRPO without the standard deviation and without the mean over tokens.

    loss = (1/B) sum_b sum_t clipped surrogate(A_b),    A_b = R_b - mean of the group's returns

Liu et al. (2025), "Understanding R1-Zero-like training", section 3.2. At the first
update its gradient is (G - 1)/G times that of leave-one-out: unbiased up to that scale.

Departures: none; the paper's code divides by a constant length, which a learning rate absorbs.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from truing.learn.objectives.clipped import Clipped
from truing.learn.objectives.credit import minus_group_mean
from truing.learn.objectives.objective import for_each_action
from truing.policies.trajectories import Trajectories


class DrGrpo(Clipped):
    """GRPO done right."""

    name: Literal["dr_grpo"] = "dr_grpo"

    @property
    def smallest_group(self) -> int:
        """See ObjectivePart."""
        return 2

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return "Dr. GRPO"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the trajectory's return minus its group's mean, for each of its actions."""
        return_B = self.rewards(trajectories).sum(1)
        return for_each_action(minus_group_mean(return_B, trajectories.group_B), trajectories)
