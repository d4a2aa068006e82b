"""The spec's part about rewards from people: the keys of the reward called `people`."""

from __future__ import annotations

import datetime as dt
from typing import Literal, Self

from pydantic import Field, model_validator

from truing.spec.part import Part

Ratio = Literal["token", "answer"]
"""What the importance ratio of late judgements is of."""


class PeopleSpec(Part):
    """How people are asked while training runs, and what becomes of training where they don't answer."""

    store: str = Field(description="where people judge: a path, or a database's URL")
    ask: Literal["comparison", "rating", "ranking"] = Field(
        "comparison",
        description="what people are asked: each answer beside the next, each alone, or all of a prompt",
    )
    wanted: int = Field(1, ge=1, description="people who are to judge each task")
    least: int = Field(
        1, ge=1, description="judgements that each task of a prompt needs before they count"
    )
    minutes: float | None = Field(
        None, gt=0, description="how long a batch is waited for; without it, as long as it takes"
    )
    deadline: dt.datetime | None = Field(
        None, description="when people go home, with its zone: 2027-01-31T18:00:00+01:00"
    )
    staleness: int = Field(
        16, ge=0, description="steps after which a judgement teaches the policy no more"
    )
    priority: int = Field(
        1,
        description="above 0: before the store's other tasks, the higher the earlier; else behind",
    )
    nobody: Literal["model", "pause"] = Field(
        "pause", description="where nobody answers: go on with the reward model, or wait"
    )
    trained: str | None = Field(
        None,
        alias="from",
        description="with 'model': the folder of a trained reward model; without it, the probes",
    )
    ratio: Ratio = Field(
        "token",
        description="late judgements weigh by the ratio, at most 2, of tokens or of answers",
    )
    consent: str = Field("own", description="what may be done with the prompts in the store")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.least > self.wanted:
            raise ValueError(
                f"least: {self.least} judgements can't come from {self.wanted} people (wanted)"
            )
        if self.trained is not None and self.nobody != "model":
            raise ValueError(
                "from: nobody: pause waits for people; a reward model needs nobody: model"
            )
        if self.deadline is not None and self.deadline.tzinfo is None:
            raise ValueError("deadline: give its zone too, as in 2027-01-31T18:00:00+01:00")
        return self
