"""Reward-weighted likelihood: supervised learning on the policy's own samples, the better the more.

    loss = -(1/B) sum_b w_b sum_t log p(a_bt | s_bt)
    w_b  = exp(R_b / temperature) / mean of the same over the group

Peters and Schaal (2007), "Reinforcement learning by reward-weighted regression", with their
exponential transformation of rewards into weights. Without the division by the group's mean this
would be the gradient of E[exp(R / temperature)]; with it, it is that of the mean over prompts of
log E[exp(R / temperature)], up to a bias that falls as 1/G. Weights are never negative: bad samples
aren't pushed away, only outweighed.

Departures: weights are normalised within the prompt's group. A group whose returns are all equal
has a gradient of expectation 0 and is left out.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.learn.objectives.credit import Groups
from truing.learn.objectives.objective import Sampled, for_each_action
from truing.policies.trajectories import Trajectories


class Weighted(Sampled):
    """Reward-weighted likelihood; `temperature` is in units of reward."""

    name: Literal["weighted"] = "weighted"
    temperature: float = Field(1.0, gt=0, description="weights are exp(return / this)")

    @property
    def smallest_group(self) -> int:
        """See ObjectivePart."""
        return 2

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return "reward-weighted likelihood"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the trajectory's weight, for each of its actions."""
        return_B = self.rewards(trajectories).sum(1)
        groups = Groups(return_B, trajectories.group_B)
        weight_B = ((groups.filled - groups.highest()) / self.temperature).exp() * groups.scored
        mean_B = groups.total(weight_B) / groups.members.clamp(min=1)
        credit_B = torch.where(groups.differ(), weight_B / mean_B, torch.zeros_like(weight_B))
        return for_each_action(credit_B, trajectories)
