"""Demonstrations as a source of trajectories: shuffled by question in every epoch, mostly with reward 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from truing.policies.language import PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask
from truing.types import InputError


@dataclass(frozen=True)
class Demonstrations:
    """Each step's batch: `batch_size` demonstrations, those with the same prompt side by side; or those of
    the same of `groups`, a name for each, where they are given. `rewards` are 1 where none are given.

    Questions are shuffled anew for each epoch by (seed, epoch); the last batch of an epoch may be
    smaller.
    """

    actions: Sequence[PromptCompletion]
    batch_size: int
    seed: int
    groups: Sequence[str] = ()
    rewards: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not self.actions:
            raise InputError("sft: there are no demonstrations to train on")
        empty = [number for number, action in enumerate(self.actions) if not action.tokens]
        if empty:
            raise InputError(f"sft: demonstration {empty[0]} has no token to train on")

    @property
    def steps_per_epoch(self) -> int:
        """Updates that an epoch takes."""
        return -(-len(self.actions) // self.batch_size)

    def _order(self, epoch: int) -> list[int]:
        names: Sequence[object] = self.groups or [action.prompt for action in self.actions]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        rank = np.random.default_rng((self.seed, epoch)).permutation(len(numbers))
        return sorted(range(len(names)), key=lambda place: int(rank[numbers[names[place]]]))

    def batch(self, step: int) -> tuple[Trajectories, dict[str, object]]:
        """See learn.loop.Source."""
        epoch, number = divmod(step - 1, self.steps_per_epoch)
        order = self._order(epoch)[number * self.batch_size : (number + 1) * self.batch_size]
        batch = demonstrated([self.actions[place] for place in order])
        if self.rewards:
            batch = batch.rewarded(torch.tensor([self.rewards[place] for place in order]))
        return batch, {"epoch": epoch + 1}


def demonstrated(actions: Sequence[PromptCompletion]) -> Trajectories:
    """Actions as trajectories with reward 1, by a demonstrator whose probabilities nobody knows."""
    mask_BT = length_mask([len(action.tokens) for action in actions])
    unknown_BT = torch.zeros(mask_BT.shape)
    groups = {prompt: i for i, prompt in enumerate(dict.fromkeys(a.prompt for a in actions))}
    return Trajectories(
        mask_BT,
        unknown_BT,
        torch.tensor([groups[action.prompt] for action in actions]),
        unknown_BT,
        unknown_BT,
        tuple(actions),
    ).rewarded(torch.ones(len(actions)))
