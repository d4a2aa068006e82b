"""PPO with clipping: several updates from one batch, advantages from a baseline or a value function.

    loss = (1/B) sum_b sum_t clipped surrogate(A_bt)
    A_bt = generalised advantage (credit.gae) with a learned value; else return-to-go - baseline

Schulman et al. (2017), eq. 7, and (2016), eq. 16. At the first update, with decay 1 and discount 1, it is
REINFORCE with reward-to-go. decay < 1 trades variance for the bias of the value function.

Departures: a sum over a trajectory's actions, not a mean over those of the batch. The value function
learns by itself, after the policy, from returns made of its own values (A + V); its loss isn't added
to the policy's, because the two share no parameters. Advantages aren't standardised over the batch.
As in the paper, discount^t doesn't stand before the credit, so discount < 1 is biased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Tensor

from truing.learn.objectives.baselines import Baseline, LearnedValue, LeaveOneOut
from truing.learn.objectives.clipped import clipped_surrogate
from truing.learn.objectives.credit import gae, return_to_go
from truing.learn.objectives.objective import Current, Figures, Sampled, without_unscored
from truing.policies.trajectories import Trajectories
from truing.types import InputError


@dataclass(frozen=True, kw_only=True)
class Ppo(Sampled):
    """Proximal policy optimisation. `decay` is GAE's lambda and needs a learned value below 1."""

    off_policy: ClassVar[bool] = True

    baseline: Baseline = field(default_factory=LeaveOneOut)
    clip: float = 0.2
    discount: float = 1.0
    decay: float = 1.0

    def __post_init__(self) -> None:
        if self.decay != 1 and not isinstance(self.baseline, LearnedValue):
            raise InputError(
                f"decay: {self.decay} mixes in values of later states, which only the LearnedValue "
                "baseline knows; use 1"
            )

    @property
    def smallest_group(self) -> int:
        """See Objective."""
        return self.baseline.smallest_group

    def _advantage(self, trajectories: Trajectories) -> Tensor:
        reward_BT = self.rewards(trajectories)
        if isinstance(self.baseline, LearnedValue):
            value_BT = self.baseline.values.values(trajectories)
            return gae(reward_BT, value_BT, trajectories.mask_BT, self.discount, self.decay)
        return self.baseline.advantage(trajectories, return_to_go(reward_BT, self.discount))

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the advantage of each action."""
        return without_unscored(self._advantage(trajectories), trajectories)

    def surrogate(
        self, current: Current, credit_BT: Tensor, trajectories: Trajectories
    ) -> tuple[Tensor, Figures]:
        """See clipped.py."""
        return clipped_surrogate(current, credit_BT, trajectories, self.clip)

    def learn(self, trajectories: Trajectories) -> dict[str, float]:
        """See Objective: the baseline learns returns, or advantages plus values."""
        target_BT = return_to_go(self.rewards(trajectories), self.discount)
        if isinstance(self.baseline, LearnedValue):
            value_BT = self.baseline.values.values(trajectories)
            target_BT = self._advantage(trajectories) + value_BT
        return self.baseline.learn(trajectories, target_BT)

    def state(self) -> dict[str, Tensor]:
        """See Objective."""
        return self.baseline.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Objective."""
        self.baseline.load(state)
