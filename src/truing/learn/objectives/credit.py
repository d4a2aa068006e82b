"""From rewards to credit: returns, comparisons within a group, generalised advantages."""

from __future__ import annotations

import torch
from torch import Tensor


def return_to_go(reward_BT: Tensor, discount: float = 1.0) -> Tensor:
    """(B, T) G_t = r_t + discount * G_(t+1): what came after each action, itself included."""
    columns: list[Tensor] = []
    following_B = torch.zeros_like(reward_BT[:, 0]) if reward_BT.shape[1] else None
    for reward_B in reversed(reward_BT.unbind(1)):
        assert following_B is not None
        following_B = reward_B + discount * following_B
        columns.append(following_B)
    return torch.stack(columns[::-1], 1) if columns else reward_BT


def gae(
    reward_BT: Tensor, value_BT: Tensor, mask_BT: Tensor, discount: float, decay: float
) -> Tensor:
    """(B, T) generalised advantages: sum over l of (discount * decay)^l delta_(t+l), where
    delta_t = r_t + discount V(s_(t+1)) - V(s_t) and the value behind the end is 0.

    Schulman et al. (2016), "High-dimensional continuous control using generalized advantage
    estimation", eq. 16. decay 1 gives the return-to-go minus V(s_t); decay 0 gives delta_t.
    """
    value_BT = value_BT * mask_BT
    next_BT = torch.cat((value_BT[:, 1:], torch.zeros_like(value_BT[:, :1])), 1)
    return return_to_go((reward_BT + discount * next_BT - value_BT) * mask_BT, discount * decay)


class Groups:
    """Sums over the scored members of each group of trajectories.

    Values are (B,) or (B, T); a row that holds NaN anywhere is unscored and takes no part.
    """

    def __init__(self, value: Tensor, group_B: Tensor) -> None:
        undefined = value.isnan()
        scored_B = ~(undefined.any(1) if value.ndim == 2 else undefined)
        self.place_B = group_B.unique(return_inverse=True)[1]
        self.count = int(self.place_B.max()) + 1 if len(group_B) else 0
        self.scored = scored_B.reshape(-1, *[1] * (value.ndim - 1)).expand_as(value)
        self.filled = torch.where(self.scored, value, torch.zeros_like(value))
        self.members = self.total(self.scored.to(value.dtype))
        """How many members of each trajectory's group are scored."""

    def total(self, value: Tensor) -> Tensor:
        """The sum over each trajectory's group, for each of its members."""
        sums = value.new_zeros(self.count, *value.shape[1:])
        return sums.index_add_(0, self.place_B, value)[self.place_B]

    def highest(self) -> Tensor:
        """The highest scored value in each trajectory's group, -inf where there is none."""
        return self._extreme(self.filled)

    def _extreme(self, value: Tensor) -> Tensor:
        low = torch.full_like(value, -torch.inf)
        index = self.place_B.reshape(-1, *[1] * (value.ndim - 1)).expand_as(value)
        highest = low[: self.count].scatter_reduce(
            0, index, torch.where(self.scored, value, low), "amax"
        )
        return highest[self.place_B]

    def differ(self) -> Tensor:
        """Where a scored value stands in a group whose scored values aren't all equal.

        Decided by comparing, because a rounded mean of equal numbers may differ from them.
        """
        return self.scored & (self.highest() > -self._extreme(-self.filled))


def leave_one_out(value: Tensor, group_B: Tensor) -> Tensor:
    """Each value minus the mean of the others in its group, (B,) or (B, T).

    Kool et al. (2019), "Buy 4 REINFORCE samples, get a baseline for free"; Ahmadian et al. (2024),
    eq. 8. A trajectory with NaN (unscored) gets 0 and is nobody's baseline; so does one whose group
    has no other scored trajectory, because nothing is known about how good it is.
    """
    groups = Groups(value, group_B)
    others = (groups.members - 1).clamp(min=1)
    baseline = (groups.total(groups.filled) - groups.filled) / others
    return torch.where(groups.differ(), groups.filled - baseline, torch.zeros_like(value))


def minus_group_mean(value: Tensor, group_B: Tensor) -> Tensor:
    """Each value minus the mean of its group, itself included; 0 where unscored or all are equal."""
    groups = Groups(value, group_B)
    centred = groups.filled - groups.total(groups.filled) / groups.members.clamp(min=1)
    return torch.where(groups.differ(), centred, torch.zeros_like(value))


def group_deviation(value: Tensor, group_B: Tensor) -> Tensor:
    """The sample standard deviation (divisor n - 1) of each trajectory's group; 0 where n < 2."""
    groups = Groups(value, group_B)
    squares = groups.total(minus_group_mean(value, group_B).square())
    return (squares / (groups.members - 1).clamp(min=1)).sqrt()
