"""REINFORCE, with any baseline.

    loss = -(1/B) sum_b sum_t c_bt log p(a_bt | s_bt)

    whole return:  c_bt = R_b - b,                R_b  = sum_t discount^t r_bt
    reward-to-go:  c_bt = discount^t (G_bt - b),  G_bt = sum_(u >= t) discount^(u - t) r_bu
    r_bt = reward_bt - KL weight * [log p_acting(a_bt) - log p_reference(a_bt)]

Williams (1992), "Simple statistical gradient-following algorithms", theorem 1; reward-to-go: Sutton et
al. (2000), "Policy gradient methods", theorem 1; leave-one-out on text: Ahmadian et al. (2024), "Back to
basics", eq. 8 and 3. The gradient is an unbiased estimate of that of E[R] - KL weight *
KL(policy || reference) over trajectories: the gradient of the log ratio itself has expectation 0.

Departures: discount^t stands before each action's credit; most code leaves it out and is biased.
Unscored trajectories are left out of the credit, but stay in the divisor B.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from truing.learn.objectives.compared import Compared
from truing.learn.objectives.credit import return_to_go
from truing.learn.objectives.objective import without_unscored
from truing.policies.trajectories import Trajectories


class Reinforce(Compared):
    """REINFORCE. `to_go` credits each action with what came after it, else with the whole return."""

    name: Literal["reinforce"] = "reinforce"
    to_go: bool = Field(False, description="credit a token with what came after it alone")

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"REINFORCE with {self.baseline.words}"

    def _returns(self, trajectories: Trajectories) -> Tensor:
        return_BT = return_to_go(self.rewards(trajectories), self.discount)
        return return_BT if self.to_go else return_BT[:, :1].expand_as(return_BT)

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the advantage of each action."""
        credit_BT = self.baseline.advantage(trajectories, self._returns(trajectories))
        if self.to_go and self.discount != 1:
            credit_BT = credit_BT * self.discount ** torch.arange(credit_BT.shape[1])
        return without_unscored(credit_BT, trajectories)

    def learn(self, trajectories: Trajectories) -> dict[str, float]:
        """See Objective: the baseline learns."""
        return self.baseline.learn(trajectories, self._returns(trajectories))
