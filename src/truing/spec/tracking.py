"""The part of a spec that says who is shown the figures of a training. Nothing in it changes a figure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from truing.spec.part import Part

TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]


class TrackingSpec(Part):
    """Trackers of a training's figures, beside the log in the run's folder."""

    to: tuple[TrackerName, ...] = Field(
        ("tensorboard",),
        description="who is shown settings, the figures of every step and the last ones: tensorboard, "
        "wandb, mlflow, trackio; all but the first need the package of that name (truing[wandb], ...)",
    )
    project: str = Field(
        "truing",
        min_length=1,
        description="the project, or experiment, that trainings are shown under",
    )
    online: bool = Field(
        False,
        description="whether figures and settings may leave this machine, for the service that each "
        "tracker's own settings name; without it all stays here",
    )

    @field_validator("to")
    @classmethod
    def _check(cls, value: tuple[TrackerName, ...]) -> tuple[TrackerName, ...]:
        if len(set(value)) != len(value):
            raise ValueError("each may be named once")
        return value
