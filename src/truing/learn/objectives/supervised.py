"""Supervised fine-tuning: demonstrations are trajectories with reward 1.

    loss = -(1/B) sum_b sum_t log p(a_bt | s_bt)

which is REINFORCE (see reinforce.py) with return 1 and no baseline. Sums over a demonstration's
tokens, not means: a long answer counts for each of its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from truing.learn.objectives.objective import Objective
from truing.policies.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class Supervised(Objective):
    """Maximum likelihood of demonstrations."""

    off_policy: ClassVar[bool] = True

    def credit(self, trajectories: Trajectories) -> Tensor:
        """1 for every action of a demonstration."""
        return trajectories.mask_BT.to(trajectories.log_prob_BT.dtype)
