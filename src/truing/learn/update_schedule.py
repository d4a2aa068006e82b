"""How often a batch is learned from: epochs, and the minibatches of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truing.types import InputError


@dataclass(frozen=True)
class UpdateSchedule:
    """The gradient steps that one batch is good for.

    `epochs` times through the batch, each in `minibatches` gradient steps, drawn anew by (`seed`,
    step, epoch). No further epoch follows one whose mean KL per action since the batch was sampled
    exceeds `max_update_kl` (nats).
    """

    epochs: int = 1
    minibatches: int = 1
    max_update_kl: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.minibatches < 1:
            raise InputError("epochs and minibatches: must be at least 1 each")

    def split(self, rows: int, step: int, epoch: int) -> list[list[int]]:
        """The rows of each minibatch. Rows stay in order, because neighbours share prompts."""
        if self.minibatches == 1:
            return [list(range(rows))]
        order = np.random.default_rng((self.seed, step, epoch)).permutation(rows)
        parts = np.array_split(order, self.minibatches)
        return [sorted(part.tolist()) for part in parts if len(part)]


ONE_UPDATE = UpdateSchedule()
