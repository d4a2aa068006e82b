"""What objectives that compare returns with a baseline have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from torch import Tensor

from truing.learn.objectives.baselines import BASELINES, Baseline, LeaveOneOut, read_baseline
from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Sampled
from truing.learn.objectives.values import StateFeatures


class Compared(Sampled):
    """An objective with a baseline, whose keys stand beside its own in a spec."""

    baseline: SerializeAsAny[Baseline] = Field(
        default_factory=LeaveOneOut,
        description="what a return is compared with; 'value' is learned from the reference's hidden "
        "states",
    )
    discount: float = Field(1.0, gt=0, le=1, description="worth of a reward one token later")

    @classmethod
    def spec_keys(cls) -> dict[str, FieldInfo]:
        """See KindPart: its own and those of every baseline."""
        own = super().spec_keys()
        return own | {key: f for kind in BASELINES.values() for key, f in kind.spec_keys().items()}

    @model_validator(mode="before")
    @classmethod
    def _with_baseline(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or isinstance(data.get("baseline"), Baseline):
            return data
        return read_baseline(data)

    @model_serializer(mode="wrap")
    def _flat(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        baseline: dict[str, Any] = written.pop("baseline")
        return {**written, "baseline": baseline.pop("name"), **baseline}

    @property
    def smallest_group(self) -> int:
        """See ObjectivePart."""
        return self.baseline.smallest_group

    def build(self, kl: KL, states: StateFeatures | None = None) -> Self:
        """See Sampled."""
        baseline = self.baseline.build(states)
        return super().build(kl, states).model_copy(update={"baseline": baseline})

    def state(self) -> dict[str, Tensor]:
        """See Objective."""
        return self.baseline.state()

    def load(self, state: Mapping[str, Tensor]) -> None:
        """See Objective."""
        self.baseline.load(state)
