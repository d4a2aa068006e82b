"""REINFORCE on whole trajectories, with a leave-one-out baseline and KL to a reference in the reward.

    loss = -(1/B) sum_b (R_b - mean of the other returns for the same prompt) sum_t log p(a_bt | s_bt)
    R_b  = reward_b - kl_weight * sum_t [log p_sampled(a_bt) - log p_reference(a_bt)]

Williams (1992); Ahmadian et al. (2024), "Back to Basics", eq. 8 and 3. Its gradient is an unbiased
estimate of that of E[reward] - kl_weight KL(policy || reference): the gradient of the log ratio
itself has expectation 0, so leaving it out changes the variance only.

Departures: none. Unscored trajectories are left out of the credit, but stay in the divisor B.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from truing.learn.credit import leave_one_out
from truing.trajectories import Trajectories


@dataclass(frozen=True)
class Reinforce:
    """REINFORCE, leave-one-out. `kl_weight` is the price of a nat of KL in units of reward."""

    kl_weight: float = 0.0

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the advantage of the trajectory, for each of its actions."""
        return_B = trajectories.return_B - self.kl_weight * trajectories.kl_B
        advantage_B = leave_one_out(return_B, trajectories.group_B)
        return advantage_B[:, None] * trajectories.mask_BT

    def loss(self, log_prob_BT: Tensor, credit_BT: Tensor, trajectories: Trajectories) -> Tensor:
        """(B,) -advantage times the log-probability of the trajectory."""
        return -(credit_BT * log_prob_BT).sum(1)
