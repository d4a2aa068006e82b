"""The clipped surrogate of PPO, which GRPO shares.

    ratio = p(a|s) / p_acting(a|s)
    loss  = -min(ratio * credit, clip(ratio, 1 - clip, 1 + clip) * credit)

Schulman et al. (2017), "Proximal policy optimization algorithms", eq. 7. At the first update the ratio
is 1 and the gradient is that of -credit * log p. Later updates see samples of an older policy: states
are not reweighted and large ratios are cut, so the gradient is biased (docs/objectives.md has by how
much).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from truing.learn.objectives.kl import kl_estimate
from truing.learn.objectives.objective import Current, Figures, Sampled
from truing.learn.update_schedule import UpdateSchedule
from truing.policies.trajectories import Trajectories


class Clipped(Sampled):
    """An objective that may take several updates from one batch, because it clips the ratio."""

    off_policy = True

    clip: float = Field(
        0.2, gt=0, lt=1, description="how far the ratio of new to old probability counts"
    )
    epochs: int = Field(1, ge=1, description="times through each batch")
    minibatches: int = Field(1, ge=1, description="gradient steps each time through")
    max_update_kl: float | None = Field(
        None, gt=0, description="no further epoch above this KL per token since sampling (nats)"
    )

    def schedule(self, seed: int = 0) -> UpdateSchedule:
        """See Objective."""
        return UpdateSchedule(self.epochs, self.minibatches, self.max_update_kl, seed)

    def surrogate(
        self, current: Current, credit_BT: Tensor, trajectories: Trajectories
    ) -> tuple[Tensor, Figures]:
        """(B, T) loss of each action; whether it is clipped (without gradient); KL since it was taken."""
        now_BT, acting_BT = current.log_prob_BT, trajectories.log_prob_BT
        ratio_BT = (now_BT - acting_BT).exp()
        free_BT = ratio_BT * credit_BT
        bound_BT = ratio_BT.clamp(1 - self.clip, 1 + self.clip) * credit_BT
        figures = {
            "clip_fraction": (bound_BT < free_BT).detach().to(ratio_BT.dtype),
            "update_kl": kl_estimate(acting_BT, now_BT.detach(), "k3"),
        }
        return -torch.minimum(free_BT, bound_BT), figures
