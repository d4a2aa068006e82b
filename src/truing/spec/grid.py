"""The spec of a run on a grid world: what `truing grid` can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from truing.spec.part import Part, worded
from truing.types import InputError


class GridSpec(Part):
    """One run on a grid world. What makes a world impossible is checked where worlds are made."""

    map: str = Field("rooms", description="a built-in map, or a file")
    slip: float = Field(0.0, description="probability that a step goes sideways")
    discount: float = Field(0.95, description="what a reward is worth one step later")
    horizon: int | None = Field(None, description="steps in an episode; without it 8 a cell")
    episodes: int = Field(51_200, ge=1, description="episodes to learn from")
    updates: int = Field(
        100, ge=1, description="gradient steps; more, where one would take over 4096 episodes"
    )
    learning_rate: float = Field(0.2, gt=0, description="of Adam")
    entropy_weight: float = Field(0.0, ge=0, description="bonus for a nat of entropy per step")
    seed: int = Field(0, ge=0)


def make_grid_spec(data: Mapping[str, Any]) -> GridSpec:
    """A grid spec from a mapping. Raises InputError on the first mistake."""
    try:
        return GridSpec.model_validate(data)
    except ValidationError as error:
        raise InputError(worded(error.errors()[0], GridSpec, "grid")) from None
