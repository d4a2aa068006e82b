"""GRPO: returns standardised within the group, a mean over tokens, PPO's clipping, KL in the loss.

    loss = (1/B) sum_b (1/T_b) sum_t [clipped surrogate(A_b) + KL weight * k3_bt]
    A_b  = (R_b - mean of the group's returns) / (their standard deviation + 1e-4)

Shao et al. (2024), "DeepSeekMath", eq. 3 and 4, outcome supervision. Biased even at the first update:
the mean includes the sample itself, which scales the gradient by (G - 1)/G; the deviation weights
prompts by how much their returns agree; 1/T_b weights short answers more (Liu et al., 2025; see
dr_grpo.py). docs/objectives.md has by how much.

Departures: the deviation has the divisor G - 1 (the paper doesn't say); 1e-4 is added to it; a group
whose returns are all equal has credit 0 exactly. KL and its place can be chosen; the paper's is
KL(0.04, "k3", "loss"), ours is none unless asked for.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from truing.learn.objectives.clipped import Clipped
from truing.learn.objectives.credit import group_deviation, minus_group_mean
from truing.learn.objectives.objective import for_each_action
from truing.policies.trajectories import Trajectories

SMALLEST_DEVIATION = 1e-4


class Grpo(Clipped):
    """Group relative policy optimisation. `clip` bounds the ratio of new to old probability."""

    name: Literal["grpo"] = "grpo"

    @property
    def smallest_group(self) -> int:
        """See ObjectivePart."""
        return 2

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return "GRPO"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): how a trajectory did, compared with its group, for each of its actions."""
        return_B, group_B = self.rewards(trajectories).sum(1), trajectories.group_B
        deviation_B = group_deviation(return_B, group_B) + SMALLEST_DEVIATION
        return for_each_action(minus_group_mean(return_B, group_B) / deviation_B, trajectories)

    def weight(self, trajectories: Trajectories) -> Tensor:
        """(B, T): 1/T_b, for a mean over the actions."""
        weight_BT = super().weight(trajectories)
        return weight_BT / weight_BT.sum(1, keepdim=True).clamp(min=1)
