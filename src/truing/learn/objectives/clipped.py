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
from torch import Tensor

from truing.learn.objectives.kl import kl_estimate
from truing.learn.objectives.objective import Current, Figures
from truing.policies.trajectories import Trajectories


def clipped_surrogate(
    current: Current, credit_BT: Tensor, trajectories: Trajectories, clip: float
) -> tuple[Tensor, Figures]:
    """(B, T) loss of each action; whether it is clipped (without gradient); KL since it was taken."""
    now_BT, acting_BT = current.log_prob_BT, trajectories.log_prob_BT
    ratio_BT = (now_BT - acting_BT).exp()
    free_BT = ratio_BT * credit_BT
    bound_BT = ratio_BT.clamp(1 - clip, 1 + clip) * credit_BT
    figures = {
        "clip_fraction": (bound_BT < free_BT).detach().to(ratio_BT.dtype),
        "update_kl": kl_estimate(acting_BT, now_BT.detach(), "k3"),
    }
    return -torch.minimum(free_BT, bound_BT), figures
