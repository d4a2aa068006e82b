"""Trajectories: what a policy did, batched as tensors with named axes.

B: trajectories, T: actions (for text: tokens), padded on the right; nothing behind the end counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from truing.types import Score, Unscored


@dataclass(frozen=True)
class Trajectories:
    """A batch of B finished trajectories of at most T actions.

    `mask_BT` is True where there is an action. `reward_B` is the return of the whole trajectory, NaN
    where it is unscored. `group_B` numbers the start (the prompt) that trajectories share.
    `log_prob_BT` holds the log-probabilities under the policy that acted, `reference_log_prob_BT`
    those under the reference policy (nats; 0 outside the mask). `data` is what the policy needs to
    evaluate the actions again; it takes part in `select` through `rows`.
    """

    mask_BT: Tensor
    reward_B: Tensor
    group_B: Tensor
    log_prob_BT: Tensor
    reference_log_prob_BT: Tensor
    data: tuple[Any, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.reward_B)

    def select(self, rows: Sequence[int]) -> Trajectories:
        """The trajectories at these places."""
        index = torch.tensor(list(rows), dtype=torch.long)
        return Trajectories(
            self.mask_BT[index],
            self.reward_B[index],
            self.group_B[index],
            self.log_prob_BT[index],
            self.reference_log_prob_BT[index],
            tuple(self.data[row] for row in rows),
        )

    @property
    def kl_B(self) -> Tensor:
        """Single-sample estimate of KL(policy || reference) of each trajectory, nats: sum of log ratios."""
        return ((self.log_prob_BT - self.reference_log_prob_BT) * self.mask_BT).sum(1)


def padded(rows: Sequence[Sequence[float]], value: float = 0.0) -> Tensor:
    """Rows of different lengths as one float tensor (B, T)."""
    longest = max((len(row) for row in rows), default=0)
    out = torch.full((len(rows), longest), value)
    for place, row in enumerate(rows):
        out[place, : len(row)] = torch.tensor(row)
    return out


def length_mask(lengths: Sequence[int]) -> Tensor:
    """(B, T) boolean: True at the first `lengths[b]` places of row b."""
    return torch.arange(max(lengths, default=0))[None] < torch.tensor(lengths)[:, None]


def reward_tensor(scores: Sequence[Score]) -> Tensor:
    """(B,) float; unscored becomes NaN, which objectives leave out and count."""
    values = [float("nan") if isinstance(score, Unscored) else score for score in scores]
    return torch.tensor(values)
