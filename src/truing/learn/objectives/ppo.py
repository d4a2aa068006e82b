"""PPO with clipping: several updates from one batch, advantages from a baseline or a value function.

    loss = (1/B) sum_b sum_t clipped surrogate(A_bt)
    A_bt = generalised advantage (credit.gae) with a learned value; else return-to-go - baseline

Schulman et al. (2017), eq. 7, and (2016), eq. 16. At the first update, with lambda 1 and discount 1, it is
REINFORCE with reward-to-go. lambda < 1 trades variance for the bias of the value function.

Departures: a sum over a trajectory's actions, not a mean over those of the batch. The value function
learns by itself, after the policy, from returns made of its own values (A + V); its loss isn't added
to the policy's, because the two share no parameters. Advantages aren't standardised over the batch.
As in the paper, discount^t doesn't stand before the credit, so discount < 1 is biased.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from truing.learn.objectives.baselines import LearnedValue
from truing.learn.objectives.clipped import Clipped
from truing.learn.objectives.compared import Compared
from truing.learn.objectives.credit import gae, return_to_go
from truing.learn.objectives.objective import without_unscored
from truing.policies.trajectories import Trajectories


class Ppo(Clipped, Compared):
    """Proximal policy optimisation. `gae_lambda` below 1 needs a learned value."""

    name: Literal["ppo"] = "ppo"
    gae_lambda: float = Field(
        1.0,
        ge=0,
        le=1,
        description="lambda of generalised advantages; below 1 it needs the baseline 'value'",
    )

    @field_validator("gae_lambda")
    @classmethod
    def _has_values(cls, gae_lambda: float, info: ValidationInfo) -> float:
        if gae_lambda != 1 and not isinstance(info.data.get("baseline"), LearnedValue):
            raise ValueError(
                "below 1 it mixes in values of later states, which belong to the baseline 'value'; "
                "set baseline to it"
            )
        return gae_lambda

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"PPO with {self.baseline.words}"

    def _advantage(self, trajectories: Trajectories) -> Tensor:
        reward_BT = self.rewards(trajectories)
        if isinstance(self.baseline, LearnedValue):
            value_BT = self.baseline.value_function.values(trajectories)
            return gae(reward_BT, value_BT, trajectories.mask_BT, self.discount, self.gae_lambda)
        return self.baseline.advantage(trajectories, return_to_go(reward_BT, self.discount))

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): the advantage of each action."""
        return without_unscored(self._advantage(trajectories), trajectories)

    def learn(self, trajectories: Trajectories) -> dict[str, float]:
        """See Objective: the baseline learns returns, or advantages plus values."""
        target_BT = return_to_go(self.rewards(trajectories), self.discount)
        if isinstance(self.baseline, LearnedValue):
            value_BT = self.baseline.value_function.values(trajectories)
            target_BT = self._advantage(trajectories) + value_BT
        return self.baseline.learn(trajectories, target_BT)
