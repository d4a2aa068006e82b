"""Baselines: what an action is compared with. Subtracting one leaves the expected gradient as it is,
if it doesn't depend on the action, and can cut the variance (Williams, 1992; Greensmith et al., 2004).

That holds for all of these: a constant, an average of *earlier* batches, the other samples of the same
start, a value function fitted to *earlier* batches. An average that includes the sample itself would
not (see grpo.py).

Each baseline is a class with the keys that a spec has for it, which stand beside the objective's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import ConfigDict, Field, PrivateAttr
from torch import Tensor

from truing.learn.objectives.credit import leave_one_out
from truing.learn.objectives.values import LinearValue, StateFeatures, ValueFunction
from truing.policies.trajectories import Trajectories
from truing.spec.kinds import IN_SPEC, KindPart, chosen, own_keys
from truing.types import InputError

Rate = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="share of a batch in what moving_average and value have learned",
    ),
]


class Baseline(KindPart, ABC):
    """A component of objectives. `return_BT` is what each action is credited with before it.

    `smallest_group` is the least number of samples of a start that it needs; `words` say what it is.
    """

    smallest_group: ClassVar[int] = 1
    words: ClassVar[str]

    @classmethod
    def kinds(cls) -> Mapping[str, type[Baseline]]:
        """See KindPart."""
        return BASELINES

    def build(self, states: StateFeatures | None) -> Baseline:
        """The baseline at work, having learned nothing yet; a spec's own never learns."""
        return self

    @abstractmethod
    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """(B, T) returns minus the baseline; NaN or 0 where nothing is known."""

    def learn(self, trajectories: Trajectories, return_BT: Tensor) -> dict[str, float]:
        """Learns from the batch, after the policy did; what to log."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What has been learned, for a checkpoint."""
        return {}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        assert not state, "a baseline that learns overrides this"


class NoBaseline(Baseline):
    """Returns as they are."""

    words = "no baseline"
    name: Literal["none"] = "none"

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT


class Constant(Baseline):
    """The same number for every action."""

    words = "a constant baseline"
    name: Literal["constant"] = "constant"
    constant: float = Field(0.0, description="the constant baseline's value")

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT - self.constant


class LeaveOneOut(Baseline):
    """The mean of the other samples of the same start (RLOO); see credit.leave_one_out.

    With returns-to-go, the mean of the others' at the same time.
    """

    smallest_group = 2
    words = "a leave-one-out baseline"
    name: Literal["leave_one_out"] = "leave_one_out"

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return leave_one_out(return_BT, trajectories.group_B)


class MovingAverage(Baseline):
    """An exponentially weighted mean of the returns of earlier batches; 0 for the first.

    Each batch counts `rate` of the whole. Starting weights are corrected as in Adam (Kingma and Ba,
    2015, section 3), so that the second batch sees the mean of the first.
    """

    words = "a moving average as baseline"
    name: Literal["moving_average"] = "moving_average"
    rate: Rate = 0.1
    _total: Tensor = PrivateAttr(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    _weight: Tensor = PrivateAttr(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def build(self, states: StateFeatures | None) -> Baseline:
        """See Baseline."""
        return MovingAverage(rate=self.rate)

    @property
    def value(self) -> float:
        """The mean as it stands."""
        return float(self._total / self._weight) if self._weight > 0 else 0.0

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT - self.value

    def learn(self, trajectories: Trajectories, return_BT: Tensor) -> dict[str, float]:
        """Takes the batch's mean return in."""
        counted_BT = trajectories.mask_BT & trajectories.scored_B[:, None]
        if counted_BT.any():
            mean = return_BT[counted_BT].double().mean()
            self._total = (1 - self.rate) * self._total + self.rate * mean
            self._weight = (1 - self.rate) * self._weight + self.rate
        return {"baseline": self.value}

    def state(self) -> dict[str, Tensor]:
        """See Baseline."""
        return {"total": self._total, "weight": self._weight}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Baseline."""
        self._total, self._weight = state["total"], state["weight"]


class LearnedValue(Baseline):
    """The value of the state that the action was taken in, by a value function that is learned.

    `values` is that function. Where there is none, one on features of states is built.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    words = "a learned value as baseline"
    name: Literal["value"] = "value"
    rate: Rate = 0.1
    ridge: float = Field(
        0.1,
        ge=0,
        description="penalty on the learned value's weights, as a multiple of a feature's mean square",
    )
    values: ValueFunction | None = Field(None, exclude=True)

    @property
    def value_function(self) -> ValueFunction:
        """The value function. Raises InputError where there is none."""
        if self.values is None:
            raise InputError("baseline: LearnedValue has no value function; give it values=")
        return self.values

    def build(self, states: StateFeatures | None) -> Baseline:
        """See Baseline."""
        if states is None:
            return self
        value = LinearValue(states, states.size, self.rate, self.ridge)
        return LearnedValue(rate=self.rate, ridge=self.ridge, values=value)

    def advantage(self, trajectories: Trajectories, return_BT: Tensor) -> Tensor:
        """See Baseline."""
        return return_BT - self.value_function.values(trajectories)

    def learn(self, trajectories: Trajectories, return_BT: Tensor) -> dict[str, float]:
        """One update of the value function towards the returns."""
        scored = trajectories.scored_B.nonzero()[:, 0].tolist()
        if not scored:
            return {}
        return {
            "value_loss": self.value_function.fit(trajectories.select(scored), return_BT[scored])
        }

    def state(self) -> dict[str, Tensor]:
        """See Baseline."""
        return self.value_function.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Baseline."""
        self.value_function.load(state)


BASELINES: dict[str, type[Baseline]] = {
    "none": NoBaseline,
    "constant": Constant,
    "moving_average": MovingAverage,
    "leave_one_out": LeaveOneOut,
    "value": LearnedValue,
}
"""Every baseline by the name that a spec has for it. Adding one is a class above and a line here."""


def read_baseline(data: Mapping[str, Any]) -> dict[str, Any]:
    """An objective's keys, in which those of its baseline have become the baseline."""
    kind = chosen(BASELINES, data.get("baseline", "leave_one_out"), "baseline")
    keys = {key for each in BASELINES.values() for key in each.spec_keys()}
    own = own_keys({k: v for k, v in data.items() if k in keys}, kind, BASELINES, _why_not)
    rest = {key: value for key, value in data.items() if key not in keys}
    return rest | {"baseline": kind.model_validate(own, context=IN_SPEC)}


def _why_not(key: str, users: list[str]) -> str:
    names = " or ".join(f"'{name}'" for name in users)
    return f"belongs to the baseline {names}; set baseline to it"
