"""The one loop that trains: trajectories from a source, credit and loss from an objective, a step.

Supervised fine-tuning and reinforcement learning differ in the source (demonstrations, or the
policy's own samples) and in the objective, not in the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from truing.learn.checkpoint import Checkpoint
from truing.learn.correction import corrected
from truing.learn.in_passing import can_correct_in_passing, corrected_in_passing, figures_of
from truing.learn.objectives.objective import Objective
from truing.learn.stopping import StopRule
from truing.learn.update import EntropyPolicy, LogRow, Policy, update
from truing.learn.update_schedule import UpdateSchedule
from truing.policies.sampler import SamplerGone
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import KnownToAll, Ranks
from truing.spec.run import Correction
from truing.types import InputError

__all__ = ["LogRow", "Policy", "Settings", "Source", "UpdateSchedule", "train", "update"]


class Source(Protocol):
    """Where trajectories come from. A function of the step, so that a run can be taken up again."""

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """The trajectories of this step (counted from 1) and what to log of them."""
        ...


@dataclass(frozen=True)
class Settings:
    """Numbers of the loop. The rate rises over `warmup` steps, then falls to 0 if `decay`.

    `schedule` is how often each batch is learned from; without one, the objective's own. `correction`
    makes good that the policy samples with other numbers than it learns with, where it does.
    """

    steps: int
    learning_rate: float
    max_grad_norm: float
    warmup: int = 0
    decay: bool = True
    schedule: UpdateSchedule | None = None
    correction: Correction = "none"

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 1."""
        if step <= self.warmup:
            return self.learning_rate * step / (self.warmup + 1)
        left = (self.steps - step + 1) / (self.steps - self.warmup)
        return self.learning_rate * (left if self.decay else 1.0)


def _check(policy: Policy, objective: Objective, schedule: UpdateSchedule) -> None:
    """Raises InputError where these can't work together, before any time is spent."""
    name = type(objective).__name__
    if schedule.epochs * schedule.minibatches > 1 and not objective.off_policy:
        raise InputError(
            f"epochs and minibatches: {name} is right for one update from each batch only, because "
            "later ones see samples of an older policy; use Ppo or Grpo, or 1 epoch and 1 minibatch"
        )
    if objective.needs_entropy and not isinstance(policy, EntropyPolicy):
        raise InputError(
            f"entropy_weight: {type(policy).__name__} doesn't give entropies; set it to 0"
        )


def train(
    policy: Policy,
    source: Source,
    objective: Objective,
    settings: Settings,
    checkpoint: Checkpoint,
    after_step: Callable[[int, LogRow], bool] = lambda step, row: True,
    stop: Sequence[StopRule] = (),
    ranks: Ranks | None = None,
) -> None:
    """Trains from where the checkpoint is to the last step, or until `after_step` returns False.

    A rule in `stop` that gives a reason ends the training too; the reason stands in the last row.
    `after_step` may add to the row before it is logged. With several processes, all of them call this
    with the same arguments; the first writes the files.
    """
    schedule = settings.schedule or objective.schedule()
    _check(policy, objective, schedule)
    ranks = ranks or Ranks()
    checkpoint.writes = ranks.index == 0
    parameters = policy.parameters
    # `fused` updates all parameters in one pass over them, several times faster on a CPU.
    optimizer = torch.optim.AdamW(
        parameters.values(), lr=settings.learning_rate, weight_decay=0.0, fused=True
    )
    first = checkpoint.restore(parameters, optimizer, objective) + 1
    if checkpoint.stop:
        return
    for step in range(first, settings.steps + 1):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        try:
            trajectories, row = source.batch(step)
        except (SamplerGone, KnownToAll):  # the latter is that of another process, perhaps
            if step > first:
                checkpoint.save(step - 1, parameters, optimizer, objective)
            raise
        if step == first:
            largest = int(trajectories.group_B.unique(return_counts=True)[1].max())
            objective.require_group(largest)
        learns_by, difference = objective, LogRow()
        if can_correct_in_passing(policy, objective, trajectories, settings.correction, schedule):
            learns_by = corrected_in_passing(objective)
        else:
            trajectories, difference = corrected(policy, trajectories, settings.correction, ranks)
        learned = update(
            policy,
            optimizer,
            learns_by,
            trajectories,
            settings.max_grad_norm,
            schedule,
            step,
            ranks,
        )
        seconds = time.perf_counter() - started
        row = {
            **figures_of(learned),
            **difference,
            **row,  # the source's entropy is that of the policy that acted
            "step": step,
            "learning_rate": settings.rate(step),
            "seconds": seconds,
            "tokens_per_second": learned["tokens"] / seconds,
        }
        go_on = after_step(step, row)
        if reason := next(filter(None, (rule([*checkpoint.rows, row]) for rule in stop)), ""):
            row["stop"] = reason
        checkpoint.note(row)
        if not go_on or reason or step == settings.steps:
            checkpoint.save(step, parameters, optimizer, objective)
            break
        checkpoint.maybe_save(step, parameters, optimizer, objective)
    ranks.wait()
