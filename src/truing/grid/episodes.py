"""(policy table, grid world) -> trajectories: thousands of episodes side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from truing.grid.table_policy import Actor, SoftmaxTable
from truing.grid.world import Floats, GridWorld, Ints
from truing.learn.loop import LogRow
from truing.policies.trajectories import Trajectories


@dataclass(frozen=True)
class Episodes:
    """B finished episodes of at most T steps, padded with 0.

    `length_B` counts the steps of each; `reached_B` says whether the star was.
    """

    state_BT: Ints
    action_BT: Ints
    reward_BT: Floats
    length_B: Ints
    reached_B: np.ndarray


def play(
    world: GridWorld, policy_SA: Floats, count: int, generator: np.random.Generator
) -> Episodes:
    """`count` episodes of a policy (S, 4). Those that are over leave the batch."""
    actor = Actor(policy_SA)
    state_TB = np.zeros((world.horizon, count), dtype=np.int64)
    action_TB = np.zeros_like(state_TB)
    reward_TB = np.zeros(state_TB.shape)
    length_B = np.full(count, world.horizon)
    going = np.arange(count)  # which episodes `state` speaks of
    state = world.begin(generator.random(count))
    time = 0
    while time < world.horizon and len(going):
        chance, slip = generator.random((2, len(going)))
        action = actor.act(state, chance)
        state_TB[time, going], action_TB[time, going] = state, action
        state, reward_TB[time, going], over = world.step(state, action, slip)
        time += 1
        if over.any():
            length_B[going[over]] = time
            going, state = going[~over], state[~over]
    reached_B = np.ones(count, dtype=bool)
    reached_B[going] = False
    return Episodes(
        state_TB[:time].T.copy(),
        action_TB[:time].T.copy(),
        reward_TB[:time].T.copy(),
        length_B,
        reached_B,
    )


def as_trajectories(episodes: Episodes, policy: SoftmaxTable) -> Trajectories:
    """Episodes of this very policy as the loop wants them; episodes with the same start are a group.

    The reference policy is the one that acted: on the grid nothing is to be kept close to.
    """
    state_BT = torch.from_numpy(episodes.state_BT)
    length_B = torch.from_numpy(episodes.length_B)
    mask_BT = torch.arange(state_BT.shape[1])[None] < length_B[:, None]
    reward_BT = torch.from_numpy(episodes.reward_BT).float()
    unknown_BT = torch.zeros(mask_BT.shape)
    found = Trajectories(
        mask_BT,
        reward_BT,
        state_BT[:, 0],
        unknown_BT,
        unknown_BT,
        torch.stack([state_BT, torch.from_numpy(episodes.action_BT)], -1),
    )
    with torch.no_grad():
        log_prob_BT = policy.log_probs(found)
    return Trajectories(mask_BT, reward_BT, found.group_B, log_prob_BT, log_prob_BT, found.data)


@dataclass(frozen=True)
class GridSource:
    """Each step its share of the episodes, by the policy as it is now. Draws depend on (seed, step)."""

    world: GridWorld
    policy: SoftmaxTable
    episodes: int
    updates: int
    seed: int

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """See learn.loop.Source."""
        before, after = ((step - 1) * self.episodes, step * self.episodes)
        count = after // self.updates - before // self.updates
        generator = np.random.default_rng((self.seed, step))
        episodes = play(self.world, self.policy.probabilities(), count, generator)
        row: LogRow = {
            "reward": float(episodes.reward_BT.sum(1).mean()),
            "length": float(episodes.length_B.mean()),
            "steps": int(episodes.length_B.sum()),
            "episodes": after // self.updates,
        }
        return as_trajectories(episodes, self.policy), row
