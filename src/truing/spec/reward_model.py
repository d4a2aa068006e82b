"""The spec's part about a reward model that learns from people's judgements."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from truing.spec.part import Part
from truing.types import Dtype

Pooling = Literal["mean", "last", "both"]


class RewardModelSpec(Part):
    """A linear head on the frozen base's hidden states, for `truing train reward`."""

    judgements: str = Field(
        description="comparisons, rankings and ratings: a store (a .db file or a database URL), a file, "
        "or hub:org/name[:config]#split"
    )
    consent: tuple[str, ...] = Field(
        (),
        description="of a store, only judgements of prompts with one of these consents: given, public, "
        "own, unknown; without any, all",
    )
    ties: Literal["half_win", "rao_kupper"] = Field(
        "half_win", description="a tie is half a win of each answer, or has a threshold of its own"
    )
    held_out: float = Field(0.3, gt=0, lt=1, description="share of the prompts held out")
    held_out_people: float = Field(
        0.2, ge=0, lt=1, description="share of the people held out, where five or more judged"
    )
    layers: tuple[int, ...] = Field(
        (),
        description="layers, from 1, of which cross-validation takes the best; without any, the one at "
        "two thirds of the depth. Each is another reading of all answers",
    )
    pooling: tuple[Pooling, ...] = Field(
        ("mean", "last", "both"),
        min_length=1,
        description="what of an answer's states the head may see: their mean, the last, or both; "
        "cross-validation takes the best",
    )
    ridge: tuple[float, ...] = Field(
        (0.1, 0.3, 1.0, 3.0, 10.0),
        min_length=1,
        description="ridge penalties of which cross-validation takes the best",
    )
    folds: int = Field(5, ge=2, description="folds of that cross-validation, by prompt")
    heads: int = Field(
        8, ge=1, description="heads fitted to resamples of the prompts; 1 is the one fitted to all"
    )
    combine: Literal["mean", "minimum", "cautious"] = Field(
        "mean",
        description="the reward of the heads: their mean, their minimum, or their mean less caution "
        "times their standard deviation",
    )
    caution: float = Field(1.0, ge=0, description="how often the deviation is deducted")
    groups: str = Field(
        "",
        description="a dimension in which people describe themselves: its groups get heads of their own "
        "where held-out judgements ask for them, and a table",
    )
    aggregate: Literal["pooled", "mean", "worst"] | dict[str, float] = Field(
        "pooled",
        description="the reward of the groups' heads: the head of all people, the groups' mean, the worst "
        "group, or weights by the group's name",
    )
    max_tokens: int = Field(1024, ge=8, description="longer conversations are left out and counted")
    dtype: Dtype = Field(
        "bfloat16",
        description="precision in which the model reads answers; best that of the runs that follow it",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(ridge <= 0 for ridge in self.ridge):
            raise ValueError("ridge: penalties above 0; without one the head isn't determined")
        if any(layer < 1 for layer in self.layers):
            raise ValueError("layers: numbers from 1")
        if self.aggregate != "pooled" and not self.groups:
            raise ValueError("aggregate: is over groups; name their dimension as groups")
        weights = self.aggregate if isinstance(self.aggregate, dict) else {"": 1.0}
        if min(weights.values(), default=0) < 0 or not sum(weights.values()):
            raise ValueError("aggregate: weights from 0 on, at least one of them above 0")
        return self

    def tried(self, layers: int) -> int:
        """How many heads cross-validation compares, of so many layers."""
        return layers * len(self.pooling) * len(self.ridge)
