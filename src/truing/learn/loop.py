"""The one loop that trains: trajectories from a source, credit and loss from an objective, a step.

Supervised fine-tuning and reinforcement learning differ in the source (demonstrations, or the
policy's own samples) and in the objective, not in the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from truing.learn.checkpoint import Checkpoint
from truing.learn.objective import Objective
from truing.trajectories import Trajectories

LogRow = dict[str, Any]


class Policy(Protocol):
    """What the loop needs to know of a policy."""

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters in training."""
        ...

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        """(B, T) current log-probabilities, differentiable."""
        ...

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        """How to take a batch through the policy in pieces that fit the memory."""
        ...


class Source(Protocol):
    """Where trajectories come from. A function of the step, so that a run can be taken up again."""

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """The trajectories of this step (counted from 1) and what to log of them."""
        ...


@dataclass(frozen=True)
class Settings:
    """Numbers of the loop. The rate rises over `warmup` steps, then falls to 0 if `decay`."""

    steps: int
    learning_rate: float
    max_grad_norm: float
    warmup: int = 0
    decay: bool = True

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 1."""
        if step <= self.warmup:
            return self.learning_rate * step / (self.warmup + 1)
        left = (self.steps - step + 1) / (self.steps - self.warmup)
        return self.learning_rate * (left if self.decay else 1.0)


def update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    trajectories: Trajectories,
    max_grad_norm: float,
) -> LogRow:
    """One gradient step on a batch. Returns the loss of the whole batch and the gradient's norm.

    Trajectories without credit cost no pass; where none has credit, nothing changes. Raises
    FloatingPointError where the gradient isn't finite, before it can reach the parameters.
    """
    credit_BT = objective.credit(trajectories)
    useful = credit_BT.ne(0).any(1).nonzero()[:, 0].tolist()
    batch, credit_BT = trajectories.select(useful), credit_BT[useful]
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for piece in policy.pieces(batch):
        part = batch.select(piece)
        loss_B = objective.loss(policy.log_probs(part), credit_BT[piece.start : piece.stop], part)
        loss = loss_B.sum() / len(trajectories)
        loss.backward()
        total += float(loss.detach())
    tokens = int(batch.mask_BT.sum())
    if not useful:
        return {"loss": 0.0, "gradient_norm": 0.0, "taught": 0, "tokens": tokens}
    norm = torch.nn.utils.clip_grad_norm_(list(policy.parameters.values()), max_grad_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm is {float(norm)}; lower the learning rate")
    optimizer.step()
    return {"loss": total, "gradient_norm": float(norm), "taught": len(useful), "tokens": tokens}


def train(
    policy: Policy,
    source: Source,
    objective: Objective,
    settings: Settings,
    checkpoint: Checkpoint,
    after_step: Callable[[int, LogRow], bool] = lambda step, row: True,
) -> None:
    """Trains from where the checkpoint is to the last step, or until `after_step` returns False.

    `after_step` may add to the row before it is logged.
    """
    parameters = policy.parameters
    optimizer = torch.optim.AdamW(parameters.values(), lr=settings.learning_rate, weight_decay=0.0)
    first = checkpoint.restore(parameters, optimizer) + 1
    for step in range(first, settings.steps + 1):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        trajectories, row = source.batch(step)
        row |= update(policy, optimizer, objective, trajectories, settings.max_grad_norm)
        row |= {
            "step": step,
            "learning_rate": settings.rate(step),
            "seconds": time.perf_counter() - started,
        }
        go_on = after_step(step, row)
        checkpoint.note(row)
        if not go_on or step == settings.steps:
            checkpoint.save(step, parameters, optimizer)
            return
        checkpoint.maybe_save(step, parameters, optimizer)
