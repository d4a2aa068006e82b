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

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from truing.learn.objectives.baselines import Baseline, LeaveOneOut
from truing.learn.objectives.credit import return_to_go
from truing.learn.objectives.objective import Sampled, without_unscored
from truing.policies.trajectories import Trajectories


@dataclass(frozen=True, kw_only=True)
class Reinforce(Sampled):
    """REINFORCE. `to_go` credits each action with what came after it, else with the whole return."""

    baseline: Baseline = field(default_factory=LeaveOneOut)
    to_go: bool = False
    discount: float = 1.0

    @property
    def smallest_group(self) -> int:
        """See Objective."""
        return self.baseline.smallest_group

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

    def state(self) -> dict[str, Tensor]:
        """See Objective."""
        return self.baseline.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Objective."""
        self.baseline.load(state)
