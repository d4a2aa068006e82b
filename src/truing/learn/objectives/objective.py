"""What every objective is: credit for each action, and a loss from credit and log-probabilities.

The two halves are apart so that a large batch can be taken through the model in small pieces: credit
looks at the whole batch and at no gradient; the loss of a piece needs only that piece. The loop adds
the pieces up and divides by the number of trajectories, so that one large piece and many small ones
give the same gradient:

    loss = 1/B sum_b sum_t weight_bt (surrogate_bt + KL weight * k_bt - entropy weight * H_bt)

where the weight also has what corrects samples of another policy (`learn/correction.py`), and KL and
entropy stand only in objectives of the policy's own samples (`Sampled`). A short objective says what
the credit is and inherits the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor

from truing.learn.objectives.kl import KL, NO_KL
from truing.learn.objectives.values import StateFeatures
from truing.learn.update_schedule import ONE_UPDATE, UpdateSchedule
from truing.policies.trajectories import Trajectories
from truing.spec.objective import ObjectivePart

Figures = dict[str, Tensor]


@dataclass(frozen=True)
class Current:
    """Actions as the policy sees them now, (B, T): log-probabilities (nats), differentiable.

    `entropy_BT` is the entropy (nats) of the distribution that each action was drawn from, where the
    objective asks for it; `divergence_BT` is KL(reference || policy) (nats) in the state of each action
    of trajectories that the objective holds to the reference. All are 0 outside the mask.
    """

    log_prob_BT: Tensor
    entropy_BT: Tensor | None = None
    divergence_BT: Tensor | None = None


@dataclass(frozen=True)
class Loss:
    """`loss_B` of each trajectory, differentiable, and figures of each action (B, T) to be logged.

    `sums` are figures that are logged as the loss is: they are sums, and what is logged is divided by the
    objective's `count`.
    """

    loss_B: Tensor
    figures: Figures
    sums: Figures = field(default_factory=dict)


class Objective(ObjectivePart, ABC):
    """One way of learning from trajectories. Its fields are the keys that a spec has for it.

    `off_policy`: may take several updates from one batch.
    """

    off_policy: ClassVar[bool] = False

    def schedule(self, seed: int = 0) -> UpdateSchedule:
        """How often each batch is learned from; `seed` draws the minibatches."""
        return ONE_UPDATE

    @property
    def needs_entropy(self) -> bool:
        """Whether the loss needs the entropies of the policy's distributions."""
        return False

    def held(self, trajectories: Trajectories) -> Tensor | None:
        """(B,) to which share each trajectory is held to the reference by its whole distributions, where
        any is: from 0, where its log-probabilities alone count, to 1, where the divergence alone does."""
        return None

    @abstractmethod
    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T) credit of each action; 0 for unscored trajectories and outside the mask."""

    def has_gradient(self, trajectories: Trajectories, credit_BT: Tensor) -> Tensor:
        """(B,) whether a trajectory has a gradient at all. The others cost no learning pass."""
        return credit_BT.ne(0).any(1)

    def count(self, trajectories: Trajectories) -> float:
        """What the sum of the losses is divided by: trajectories, those without a gradient included."""
        return len(trajectories)

    def weight(self, trajectories: Trajectories) -> Tensor:
        """(B, T) weight of each action in its trajectory's loss: 1, for a sum over actions."""
        return trajectories.mask_BT.to(trajectories.log_prob_BT.dtype)

    def surrogate(
        self, current: Current, credit_BT: Tensor, trajectories: Trajectories
    ) -> tuple[Tensor, Figures]:
        """(B, T) loss of each action, and figures: -credit * log-probability."""
        return -credit_BT * current.log_prob_BT, {}

    def loss(self, current: Current, credit_BT: Tensor, trajectories: Trajectories) -> Loss:
        """(B,) loss of each trajectory, differentiable in the current log-probabilities."""
        loss_BT, figures = self.surrogate(current, credit_BT, trajectories)
        return Loss(self.summed(loss_BT, trajectories), figures)

    def summed(self, loss_BT: Tensor, trajectories: Trajectories) -> Tensor:
        """(B,) the actions' losses by their weights, and by what corrects who sampled them."""
        weight_BT = self.weight(trajectories)
        if trajectories.correction_BT is not None:
            weight_BT = weight_BT * trajectories.correction_BT
        return (weight_BT * loss_BT).sum(1)

    def learn(self, trajectories: Trajectories) -> dict[str, float]:
        """Updates what the objective itself learns (a baseline), after the policy; what to log."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What `learn` has learned so far, to be saved with a checkpoint."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        assert not state, "an objective that learns overrides this"


class Sampled(Objective):
    """An objective of the policy's own samples: it may keep to a reference and stay random.

    `entropy_weight` pays for a nat of entropy of each action's distribution (Williams and Peng,
    1991). Like KL in the loss, the bonus is differentiated with the states as they were visited: how
    an action changes the entropy of later states is left out. KL isn't a key: `rl` has those.
    """

    kl: KL = Field(NO_KL, exclude=True)
    entropy_weight: float = Field(0.0, ge=0, description="bonus for a nat of entropy per token")

    def build(self, kl: KL, states: StateFeatures | None = None) -> Self:
        """The objective at work: with a price on KL, and having learned nothing yet.

        `states` is what a learned value knows of texts. A spec's objective itself never learns.
        """
        return self.model_copy(update={"kl": kl})

    @property
    def needs_entropy(self) -> bool:
        """See Objective."""
        return self.entropy_weight != 0

    def rewards(self, trajectories: Trajectories) -> Tensor:
        """(B, T) rewards less the price of KL where that is in the reward; NaN where unscored."""
        return trajectories.reward_BT - self.kl.in_reward(trajectories)

    def has_gradient(self, trajectories: Trajectories, credit_BT: Tensor) -> Tensor:
        """With KL or entropy in the loss, every scored trajectory."""
        if self.entropy_weight or self.kl.is_in_loss:
            return trajectories.scored_B
        return super().has_gradient(trajectories, credit_BT)

    def loss(self, current: Current, credit_BT: Tensor, trajectories: Trajectories) -> Loss:
        """See Objective; with KL and entropy."""
        loss_BT, figures = self.surrogate(current, credit_BT, trajectories)
        if self.kl.is_in_loss:
            kl_BT = self.kl.of(current.log_prob_BT, trajectories.reference_log_prob_BT)
            loss_BT = loss_BT + self.kl.weight * kl_BT
            figures |= {"kl_in_loss": kl_BT.detach()}
        if current.entropy_BT is not None:
            loss_BT = loss_BT - self.entropy_weight * current.entropy_BT
            figures |= {"entropy": current.entropy_BT.detach()}
        return Loss(self.summed(loss_BT, trajectories), figures)


def for_each_action(credit_B: Tensor, trajectories: Trajectories) -> Tensor:
    """(B, T) a trajectory's credit, given to each of its actions; 0 where it is unscored."""
    return without_unscored(credit_B[:, None].expand_as(trajectories.reward_BT), trajectories)


def without_unscored(credit_BT: Tensor, trajectories: Trajectories) -> Tensor:
    """Credit with 0 outside the mask and for unscored trajectories."""
    counts_BT = trajectories.mask_BT & trajectories.scored_B[:, None]
    return torch.where(counts_BT, credit_BT, torch.zeros_like(credit_BT))
