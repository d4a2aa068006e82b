"""The spec's part about a reward model that learns from people's judgements."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from truing.spec.contrast import is_none
from truing.spec.methods import AdapterSpec
from truing.spec.part import Part
from truing.types import Dtype

Pooling = Literal["mean", "last", "both"]


class RewardAdapterSpec(AdapterSpec):
    """A low-rank adapter that is learned together with the head, and how. Its name alone is enough."""

    kind: Literal["lora"] = Field("lora", description="a low-rank adapter")
    rank: int = Field(16, ge=1, description="rank of the adapter's matrices")
    epochs: int = Field(1, ge=1, description="passes over the judgements")
    prompts_per_step: int = Field(
        8, ge=1, description="conversations in each step, with all judgements of their answers"
    )
    learning_rate: float = Field(2e-4, gt=0, description="highest rate of AdamW")
    warmup: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the steps in which the rate rises; then it falls to 0",
    )
    max_grad_norm: float = Field(1.0, gt=0, description="longer gradients are made this long")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        return {"kind": data} if isinstance(data, str) else data


class RewardModelSpec(Part):
    """A linear head on the frozen base's hidden states, for `truing train reward`, or on those of the base
    with an adapter."""

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

    adapter: RewardAdapterSpec | None = Field(
        None,
        exclude_if=is_none,
        description="'lora': an adapter learned together with the head, in place of the frozen states; or "
        "its keys",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_head(cls, data: Any) -> Any:
        """With an adapter there is one head, where nothing else is said."""
        adapted = isinstance(data, dict) and data.get("adapter") is not None
        return {"heads": 1, **data} if adapted else data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.adapter is not None and (self.heads > 1 or self.groups or self.combine != "mean"):
            raise ValueError(
                "adapter: is learned together with one head of all people; leave out heads, combine and "
                "groups, or the adapter"
            )
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
