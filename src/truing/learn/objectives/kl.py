"""The KL divergence from a reference policy, estimated from the actions that were taken.

With the log ratio l = log p(a|s) - log p_reference(a|s) of a sampled action, Schulman (2020),
"Approximating KL divergence", names three estimators of KL(p || p_reference):

    k1 = l        k2 = l^2 / 2        k3 = exp(-l) - 1 + l

The value of k1 and k3 is unbiased, that of k2 is not; k2 and k3 vary less than k1. Their *gradients*
are another matter (Tang and Munos, 2025, "On a few pitfalls in KL divergence gradient estimation"):

- k1 in the reward has the gradient of the KL of whole trajectories. k2 and k3 in the reward don't.
- In the loss, with states as they were visited: k2 has the gradient of KL(p || p_reference) for each
  state; k3 has that of KL(p_reference || p); k1 has expectation 0 and holds the policy by nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from truing.policies.trajectories import Trajectories
from truing.types import InputError

Estimator = Literal["k1", "k2", "k3"]


def kl_estimate(log_prob: Tensor, reference: Tensor, estimator: Estimator) -> Tensor:
    """Estimate of KL(policy || reference) from each action's log-probabilities (nats)."""
    ratio = log_prob - reference
    if estimator == "k1":
        return ratio
    if estimator == "k2":
        return ratio.square() / 2
    return torch.expm1(-ratio) + ratio


@dataclass(frozen=True)
class KL:
    """The price of leaving the reference: `weight` (units of reward per nat), and where it is paid."""

    weight: float = 0.0
    estimator: Estimator = "k1"
    place: Literal["reward", "loss"] = "reward"

    def __post_init__(self) -> None:
        if self.estimator not in ("k1", "k2", "k3"):
            raise InputError(f"kl.estimator: must be k1, k2 or k3, got {self.estimator!r}")
        if self.place not in ("reward", "loss"):
            raise InputError(f"kl.place: must be reward or loss, got {self.place!r}")

    @property
    def is_in_reward(self) -> bool:
        """Whether it is taken from the reward."""
        return self.weight != 0 and self.place == "reward"

    @property
    def is_in_loss(self) -> bool:
        """Whether the loss has a KL term."""
        return self.weight != 0 and self.place == "loss"

    def of(self, log_prob_BT: Tensor, reference_BT: Tensor) -> Tensor:
        """(B, T) estimates (nats), differentiable in both."""
        return kl_estimate(log_prob_BT, reference_BT, self.estimator)

    def in_reward(self, trajectories: Trajectories) -> Tensor:
        """(B, T) what each action costs: weight * estimate under the policy that acted; no gradient."""
        if not self.is_in_reward:
            return torch.zeros_like(trajectories.log_prob_BT)
        kl_BT = self.of(trajectories.log_prob_BT, trajectories.reference_log_prob_BT)
        return self.weight * kl_BT * trajectories.mask_BT


NO_KL = KL()
