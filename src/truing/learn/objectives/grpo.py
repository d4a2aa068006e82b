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

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from truing.learn.objectives.clipped import clipped_surrogate
from truing.learn.objectives.credit import group_deviation, minus_group_mean
from truing.learn.objectives.objective import Current, Figures, Sampled, for_each_action
from truing.policies.trajectories import Trajectories

SMALLEST_DEVIATION = 1e-4


@dataclass(frozen=True, kw_only=True)
class Grpo(Sampled):
    """Group relative policy optimisation. `clip` bounds the ratio of new to old probability."""

    off_policy: ClassVar[bool] = True

    clip: float = 0.2

    @property
    def smallest_group(self) -> int:
        """See Objective."""
        return 2

    def advantage(self, return_B: Tensor, group_B: Tensor) -> Tensor:
        """(B,) how a trajectory did, compared with its group."""
        deviation_B = group_deviation(return_B, group_B) + SMALLEST_DEVIATION
        return minus_group_mean(return_B, group_B) / deviation_B

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the advantage of the trajectory, for each of its actions."""
        return_B = self.rewards(trajectories).sum(1)
        advantage_B = self.advantage(return_B, trajectories.group_B)
        return for_each_action(advantage_B, trajectories)

    def weight(self, trajectories: Trajectories) -> Tensor:
        """(B, T): 1/T_b, for a mean over the actions."""
        weight_BT = super().weight(trajectories)
        return weight_BT / weight_BT.sum(1, keepdim=True).clamp(min=1)

    def surrogate(
        self, current: Current, credit_BT: Tensor, trajectories: Trajectories
    ) -> tuple[Tensor, Figures]:
        """See clipped.py."""
        return clipped_surrogate(current, credit_BT, trajectories, self.clip)
