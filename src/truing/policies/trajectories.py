"""Trajectories: what a policy did, batched as tensors with named axes.

B: trajectories, T: actions (for text: tokens), padded on the right; nothing behind the end counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from truing.types import InputError, Score, Unscored


@dataclass(frozen=True)
class Trajectories:
    """A batch of B finished trajectories of at most T actions.

    `mask_BT` is True where there is an action. `reward_BT` is the reward that followed each action,
    0 behind the end; a NaN anywhere makes the whole trajectory unscored. `group_B` numbers the start
    (the prompt) that trajectories share. `log_prob_BT` holds the log-probabilities under the policy
    that acted, `reference_log_prob_BT` those under the reference policy (nats; 0 outside the mask).
    `data` is what the policy needs to evaluate the actions again: a tuple of B entries, or one
    tensor whose first axis is B. Where trajectories are compared two by two, `pair_N2` has the rows of
    the better and the worse one of each of N pairs. `correction_BT` holds weights of the actions' losses
    where another policy acted than the one that learns (learn/correction.py); `log_prob_BT` is the
    latter's then.
    """

    mask_BT: Tensor
    reward_BT: Tensor
    group_B: Tensor
    log_prob_BT: Tensor
    reference_log_prob_BT: Tensor
    data: Any = ()
    correction_BT: Tensor | None = None
    pair_N2: Tensor | None = None

    def __len__(self) -> int:
        return len(self.mask_BT)

    def select(self, rows: Sequence[int]) -> Trajectories:
        """The trajectories at these places; the batch itself where that is all of them in order.

        Raises ValueError where that would tear a pair apart; see `units`.
        """
        if list(rows) == list(range(len(self))):
            return self
        index = torch.tensor(list(rows), dtype=torch.long)
        of_tensor = isinstance(self.data, Tensor)
        return Trajectories(
            self.mask_BT[index],
            self.reward_BT[index],
            self.group_B[index],
            self.log_prob_BT[index],
            self.reference_log_prob_BT[index],
            self.data[index] if of_tensor else tuple(self.data[row] for row in rows),
            None if self.correction_BT is None else self.correction_BT[index],
            None if self.pair_N2 is None else _among(self.pair_N2, index, len(self)),
        )

    @property
    def units(self) -> list[range]:
        """The rows, in order, in parts that have a loss of their own: each row, or rows that pairs link."""
        linked = torch.zeros(len(self) + 1, dtype=torch.bool)
        for first, last in [] if self.pair_N2 is None else self.pair_N2.sort(1).values.tolist():
            linked[first + 1 : last + 1] = True
        starts = (~linked).nonzero()[:, 0].tolist()
        return [range(start, end) for start, end in itertools.pairwise(starts)]

    @property
    def unpaired(self) -> Trajectories:
        """The same trajectories, each by itself."""
        return replace(self, pair_N2=None)

    def rewarded(self, reward_B: Tensor) -> Trajectories:
        """The same trajectories, each with its whole reward on its last action.

        Raises InputError where there isn't one reward for each trajectory.
        """
        if reward_B.shape != (len(self),):
            raise InputError(
                f"reward: got the shape {tuple(reward_B.shape)} for {len(self)} trajectories; "
                "each needs one number (NaN where it is unscored)"
            )
        last_B1 = (self.mask_BT.sum(1, keepdim=True) - 1).clamp(min=0)
        nothing_BT = torch.zeros(self.mask_BT.shape, dtype=reward_B.dtype)
        return replace(self, reward_BT=nothing_BT.scatter(1, last_B1, reward_B[:, None]))

    @property
    def return_B(self) -> Tensor:
        """Undiscounted sum of each trajectory's rewards; NaN where it is unscored."""
        return self.reward_BT.sum(1)

    @property
    def scored_B(self) -> Tensor:
        """(B,) False where a trajectory is unscored."""
        return ~self.reward_BT.isnan().any(1)

    @property
    def kl_B(self) -> Tensor:
        """Single-sample estimate of KL(policy || reference) of each trajectory, nats: sum of log ratios."""
        return ((self.log_prob_BT - self.reference_log_prob_BT) * self.mask_BT).sum(1)


def _among(pair_N2: Tensor, index: Tensor, rows: int) -> Tensor:
    """The pairs among some rows, by their places there."""
    place = torch.full((rows,), -1)
    place[index] = torch.arange(len(index))
    placed_N2 = place[pair_N2]
    here_N2 = placed_N2 >= 0
    if not torch.equal(here_N2[:, 0], here_N2[:, 1]):
        raise ValueError("a pair of trajectories can't be torn apart")
    return placed_N2[here_N2[:, 0]]


def joined(parts: Sequence[Trajectories]) -> Trajectories:
    """Batches of text as they were sampled, behind one another; no start is shared between them."""
    if len(parts) == 1:
        return parts[0]
    longest = max(part.mask_BT.shape[1] for part in parts)

    def together(name: str) -> Tensor:
        tensors = [getattr(part, name) for part in parts]
        return torch.cat([pad(x, (0, longest - x.shape[1])) for x in tensors])

    groups, first = [], 0
    pairs, rows = [], 0
    for part in parts:
        groups.append(part.group_B + first)
        first += int(part.group_B.max()) + 1
        if part.pair_N2 is not None:
            pairs.append(part.pair_N2 + rows)
        rows += len(part)
    return Trajectories(
        mask_BT=together("mask_BT"),
        reward_BT=together("reward_BT"),
        group_B=torch.cat(groups),
        log_prob_BT=together("log_prob_BT"),
        reference_log_prob_BT=together("reference_log_prob_BT"),
        data=tuple(entry for part in parts for entry in part.data),
        pair_N2=torch.cat(pairs) if pairs else None,
    )


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
