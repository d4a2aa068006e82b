"""Rubrics, by which a model grades answers, and how a model behind an endpoint is asked to.

    name: polite
    asks: How politely does the answer speak to the reader?
    scale: [rude, curt, polite]          # from worst to best
    instruction: Judge the tone alone, not whether the answer is right.

A scale may also give each grade its value and what it means; the lowest value counts as 0, the highest
as 1:

    scale:
      rude: {value: 1, means: it insults or mocks the reader}
      curt: {value: 2, means: it is neither rude nor kind}
      polite: {value: 5, means: it is kind, with or without words such as please}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from truing.spec.contrast import is_none
from truing.spec.part import WHOLE_SENTENCE, Part
from truing.types import normalised

_FORM = "name at least two grades, from worst to best, as in scale: ['no', partly, 'yes']"
_NOT_IN_A_WORD = re.compile(r"^\W|\W$|\n")


def _mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError(WHOLE_SENTENCE, "{text}", {"text": text})


class GradeSpec(Part):
    """One grade of a scale."""

    value: float | None = Field(
        None, description="what it counts; without any, grades have no order"
    )
    means: str = Field("", description="what an answer of this grade is like, told to the judge")


class RubricSpec(Part):
    """What a model is asked about an answer, and the grades among which it chooses."""

    name: str = Field(min_length=1, description="the rubric's name")
    asks: str = Field(min_length=1, description="what is asked about each answer")
    scale: dict[str, GradeSpec] = Field(
        description="the grades: a list from worst to best; or each with a value, what it means, or both"
    )
    instruction: str = Field("", description="how to decide")
    shows: tuple[str, ...] = Field(
        (),
        description="what the judge is shown beside request and answer: references (known good and bad "
        "answers), or columns of the data",
    )
    reasons: bool = Field(False, description="whether the judge gives its reasons before the grade")

    @model_validator(mode="before")
    @classmethod
    def _with_a_scale(cls, data: Any) -> Any:
        """Scales in their short forms, written out."""
        if not isinstance(data, Mapping):
            return data
        scale = data.get("scale")
        if scale is None:
            raise _mistake(f"scale: missing; {_FORM}")
        if isinstance(scale, list | tuple):
            if len({_name(each) for each in scale}) < len(scale):
                raise _mistake("scale: a grade stands in it twice; give each a name of its own")
            steps = max(1, len(scale) - 1)
            scale = {_name(each): {"value": place / steps} for place, each in enumerate(scale)}
        if not isinstance(scale, Mapping):
            raise _mistake(f"scale: {scale!r} is no scale; {_FORM}")
        return {**data, "scale": {_name(name): _grade(each) for name, each in scale.items()}}

    @field_validator("scale")
    @classmethod
    def _of_several(cls, scale: dict[str, GradeSpec]) -> dict[str, GradeSpec]:
        if len(scale) < 2:
            raise _mistake(f"{len(scale)} grade(s) tell nothing apart; {_FORM}")
        for name in scale:
            if not name or _NOT_IN_A_WORD.search(name):
                raise _mistake(f"{name!r}: a grade begins and ends with a letter or a digit")
        if len({normalised(name) for name in scale}) < len(scale):
            raise _mistake("two grades differ in capitals or spaces alone; name them apart")
        values = [grade.value for grade in scale.values() if grade.value is not None]
        if values and len(values) < len(scale):
            raise _mistake("some grades have a value and some have none; give each one, or none")
        if values and len(set(values)) == 1:
            raise _mistake(
                "all grades have the same value, so that none is better; give them values"
            )
        return scale

    @property
    def values(self) -> dict[str, float] | None:
        """What each grade counts, from 0 to 1; None where they have no order."""
        given = [grade.value for grade in self.scale.values()]
        known = [value for value in given if value is not None]
        if not known:
            return None
        low, high = min(known), max(known)
        return {
            name: (value - low) / (high - low)
            for name, value in zip(self.scale, known, strict=True)
        }


def _name(value: Any) -> str:
    """A grade's name as YAML may have read it: true, yes and numbers are names here."""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _grade(value: Any) -> Any:
    if value is None:
        return {}
    if isinstance(value, str):
        return {"means": value}
    return {"value": value} if isinstance(value, int | float) else value


def _form(value: Any) -> str:
    return "mapping" if isinstance(value, Mapping | RubricSpec) else "name"


Rubric = Annotated[
    Annotated[RubricSpec, Tag("mapping")] | Annotated[str, Tag("name")], Discriminator(_form)
]
"""A rubric as it stands in a spec: written out, the path of its file, or the name of a built-in one."""


class Prices(Part):
    """What a million tokens cost, for what a judge costs to be shown."""

    prompt: float = Field(ge=0, description="of a million tokens that are sent")
    completion: float = Field(ge=0, description="of a million tokens that come back")
    currency: str = Field("USD", min_length=1, description="what the prices are in")


class AskedEndpoint(Part):
    """A model behind an endpoint, and how it is asked."""

    endpoint: str | None = Field(
        None,
        exclude_if=is_none,
        description="a judge behind a server, endpoint:URL#MODEL, which answers are then sent to",
    )
    key_variable: str | None = Field(
        None,
        exclude_if=is_none,
        description="the environment variable with the endpoint's key; without it, TRUING_ENDPOINT_KEY",
    )
    at_once: int | None = Field(
        None,
        ge=1,
        exclude_if=is_none,
        description="answers that the endpoint is asked about at once",
    )
    timeout: float | None = Field(
        None, gt=0, exclude_if=is_none, description="seconds to wait for the endpoint's reply"
    )
    prices: Prices | None = Field(
        None, exclude_if=is_none, description="of the endpoint's tokens, so that its cost is shown"
    )

    @model_validator(mode="after")
    def _of_an_endpoint(self) -> Self:
        if self.endpoint is not None and not self.endpoint.startswith("endpoint:"):
            raise _mistake(
                f"endpoint: {self.endpoint!r} is no server's model; name it endpoint:URL#MODEL"
            )
        if self.endpoint is None:
            for name in ("key_variable", "at_once", "timeout", "prices"):
                if getattr(self, name) is not None:
                    raise _mistake(f"{name}: says how an endpoint is asked; name it as endpoint")
        return self


class RubricJudge(AskedEndpoint):
    """A model behind an endpoint that grades by a rubric."""

    rubric: Rubric | None = Field(
        None,
        exclude_if=is_none,
        description="what the endpoint grades by: a YAML or JSON file, or a built-in rubric",
    )

    @classmethod
    def known_keys(cls) -> list[str]:
        """See Part: what is a part's own comes first."""
        shared = RubricJudge.model_fields
        return [*(name for name in cls.model_fields if name not in shared), *shared]

    @model_validator(mode="after")
    def _by_a_rubric(self) -> Self:
        if (self.endpoint is None) is not (self.rubric is None):
            missing = "endpoint" if self.endpoint is None else "rubric"
            right = "endpoint:URL#MODEL" if self.endpoint is None else "a file, or a built-in one"
            raise _mistake(f"{missing}: missing; a judge needs an endpoint and a rubric ({right})")
        return self
