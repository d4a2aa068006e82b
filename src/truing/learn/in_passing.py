"""Samples of another policy corrected by the very pass that learns from them, where it is the only one.

A correction needs the learner's log-probabilities before anything has changed. With one update of a batch
the update's own pass gives them: a pass before it would compute the same. Ratios are by token, as in
correction.py. What asks for log-probabilities before there are any is credit, where KL is paid in the
reward. A whole return less the mean of the other samples' takes that too,

    c_b' = c_b - [KL price of b by log p] + [KL price of b by log mu],

with the others' KL still by log mu: their mean is a baseline, and whatever it is, as long as b has no part
in it, the expected gradient is the same (Williams, 1992, theorem 1).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor

from truing.learn.correction import (
    LARGEST_TOKEN_RATIO,
    SeparatelySampled,
    bounded,
    is_asked_for,
    sampler_kl,
)
from truing.learn.objectives.baselines import LeaveOneOut
from truing.learn.objectives.objective import Current, Loss, Objective, Sampled
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.update import LogRow, Policy
from truing.learn.update_schedule import UpdateSchedule
from truing.policies.trajectories import Trajectories
from truing.spec.run import Correction

_SQUARES = "squared_weight"
"""Its mean, beside that of the weights, until both are known of a whole batch."""


@runtime_checkable
class CorrectedInPassing(SeparatelySampled, Protocol):
    """A policy that may be corrected by its updates."""

    @property
    def corrects_in_passing(self) -> bool:
        """Whether it is to be, where that is possible."""
        ...


def can_correct_in_passing(
    policy: Policy,
    objective: Objective,
    trajectories: Trajectories,
    correction: Correction,
    schedule: UpdateSchedule,
) -> bool:
    """Whether an update with `corrected_in_passing(objective)` needs no correction before it."""
    wanted = isinstance(policy, CorrectedInPassing) and policy.corrects_in_passing
    once = schedule.epochs * schedule.minibatches == 1
    asked_for = is_asked_for(policy, trajectories, correction) and correction == "token"
    return wanted and asked_for and once and (_asks_for_none(objective) or _is_whole(objective))


def _asks_for_none(objective: Objective) -> bool:
    """Whether credit is computed without log-probabilities."""
    return isinstance(objective, Sampled) and not objective.kl.is_in_reward


def _is_whole(objective: Objective) -> bool:
    """Whether credit is a whole return less the mean of the others'."""
    if not isinstance(objective, Reinforce) or objective.to_go or objective.discount != 1:
        return False
    return isinstance(objective.baseline, LeaveOneOut)


class _InPassing:
    """An objective whose loss is corrected by the log-probabilities that it is given."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objective, name)

    def loss(self, current: Current, credit_BT: Tensor, trajectories: Trajectories) -> Loss:
        """See Objective."""
        mask_BT, learner_BT = trajectories.mask_BT, current.log_prob_BT.detach()
        log_ratio_BT = (learner_BT - trajectories.log_prob_BT) * mask_BT
        ratio_BT = bounded(log_ratio_BT).exp()
        weight_BT = ratio_BT.clamp(max=LARGEST_TOKEN_RATIO) * mask_BT
        seen = replace(trajectories, log_prob_BT=learner_BT, correction_BT=weight_BT)
        if not _asks_for_none(self._objective):
            kl = self._objective.kl  # type: ignore[attr-defined]
            dearer_BT = kl.in_reward(seen) - kl.in_reward(trajectories)
            credit_BT = credit_BT - dearer_BT.sum(1, keepdim=True) * mask_BT
        found = self._objective.loss(current, credit_BT, seen)
        figures = {
            "importance_ratio": ratio_BT,
            "sampler_kl": sampler_kl(log_ratio_BT),
            "effective_sample_size": weight_BT,
            _SQUARES: weight_BT.square(),
            "truncated_fraction": (ratio_BT > LARGEST_TOKEN_RATIO).to(ratio_BT.dtype),
        }
        return replace(found, figures={**found.figures, **figures})


def corrected_in_passing(objective: Objective) -> Objective:
    """The objective, for an update with samples of another policy; see `can_correct_in_passing`."""
    return cast("Objective", _InPassing(objective))


def figures_of(row: LogRow) -> LogRow:
    """The row of an update as it is logged: after such a one with the figures of `correction.reweighted`,
    of the trajectories that were learned from."""
    if _SQUARES not in row:
        return row
    row = dict(row)
    squares = row.pop(_SQUARES)
    share = row["effective_sample_size"] ** 2 / squares if squares else 0.0
    return row | {"effective_sample_size": share}
