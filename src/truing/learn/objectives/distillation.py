"""Demonstrations, and texts at whose tokens the policy is to stay as its reference is.

    loss = 1/B sum_b sum_t [-r_b log p(a_bt | s_bt) + kl_weight (1 - r_b) KL(q(. | s_bt) || p(. | s_bt))]

with the reference's distribution q over the whole vocabulary (Hinton et al., 2015, "Distilling the
knowledge in a neural network", eq. 1 to 3; on each token, Kim and Rush, 2016, "Sequence-level knowledge
distillation", eq. 2). The reward r is 1 for a demonstration and 0 for a text that is distilled alone; in
between both count, as in Hinton et al. For a text whose tokens were drawn from q, the second term has the
expected gradient of the first, token by token, without the noise of the draw.

Departures: the teacher is the policy itself as it was before training, at temperature 1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from truing.learn.objectives.objective import Current, Figures, for_each_action
from truing.learn.objectives.supervised import Supervised
from truing.policies.trajectories import Trajectories


class Distillation(Supervised):
    """Maximum likelihood of demonstrations, and distillation from the reference."""

    name: Literal["distillation"] = "distillation"  # type: ignore[assignment]
    kl_weight: float = Field(1.0, gt=0, description="price of a nat of KL from the reference")

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return "supervised fine-tuning, held to the base by distillation"

    def credit(self, trajectories: Trajectories) -> Tensor:
        """The reward, for every action of its trajectory."""
        return for_each_action(trajectories.return_B, trajectories)

    def held(self, trajectories: Trajectories) -> Tensor:
        """(B,) 1 less the reward."""
        return 1 - trajectories.return_B

    def has_gradient(self, trajectories: Trajectories, credit_BT: Tensor) -> Tensor:
        """Every scored trajectory: what isn't learned from is distilled."""
        return trajectories.scored_B

    def surrogate(
        self, current: Current, credit_BT: Tensor, trajectories: Trajectories
    ) -> tuple[Tensor, Figures]:
        """See Objective; with the KL."""
        loss_BT, figures = super().surrogate(current, credit_BT, trajectories)
        if current.divergence_BT is None:
            return loss_BT, figures
        price_B = self.kl_weight * self.held(trajectories)
        figures |= {"divergence": current.divergence_BT.detach()}
        return loss_BT + price_B[:, None] * current.divergence_BT, figures
