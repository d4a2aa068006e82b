"""Supervised fine-tuning: demonstrations are trajectories with reward 1.

    loss = -(1/B) sum_b sum_t log p(a_bt | s_bt)

which is REINFORCE (see reinforce.py) with return 1 and no baseline. Sums over a demonstration's
tokens, not means: a long answer counts for each of its tokens.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from truing.learn.objectives.objective import Objective
from truing.policies.trajectories import Trajectories


class Supervised(Objective):
    """Maximum likelihood of demonstrations."""

    learns_from = "demonstrations"
    off_policy = True

    name: Literal["supervised"] = "supervised"

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return "supervised fine-tuning"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """1 for every action of a demonstration."""
        return trajectories.mask_BT.to(trajectories.log_prob_BT.dtype)
