"""KTO: each answer by itself is held against what the policy does with answers in general.

    l  = 1/2 [w_d (1 - sigmoid(beta (r(better) - z))) + w_u (1 - sigmoid(beta (z - r(worse))))]
    r  = log p / p_ref of an answer,    z = max(0, mean of r over mismatched answers), no gradient

Ethayarajh et al. (2024), "KTO: Model alignment as prospect theoretic optimization", eq. 8. z estimates
KL(policy || reference) by answers to other prompts, here by those of the question before in the data.

Departures: its answers come from pairs, so that an answer in k of them counts k times.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.learn.objectives.pairwise import Pairwise, Side
from truing.policies.trajectories import Trajectories


class Kto(Pairwise):
    """Kahneman-Tversky optimisation of both sides of each pair."""

    name: Literal["kto"] = "kto"
    beta: float = Field(0.1, gt=0, description="how soon a gain or a loss is as good as any")
    desirable_weight: float = Field(1.0, gt=0, description="weight of the better answers")
    undesirable_weight: float = Field(1.0, gt=0, description="weight of the worse answers")

    @property
    def needs_mismatched(self) -> bool:
        """See Pairwise."""
        return True

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"KTO (beta {self.beta:g})"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): z, everywhere the same."""
        mismatched_B = ~self.has_gradient(trajectories, trajectories.reward_BT)
        point = trajectories.kl_B[mismatched_B].mean().clamp(min=0)
        return point.expand(trajectories.mask_BT.shape)

    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """See Pairwise."""
        gain_N = torch.sigmoid(self.beta * (better.log_ratio_N - better.credit_N))
        safe_N = torch.sigmoid(self.beta * (worse.credit_N - worse.log_ratio_N))
        return (self.desirable_weight * (1 - gain_N) + self.undesirable_weight * (1 - safe_N)) / 2
