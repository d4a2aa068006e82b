"""The spec's parts about rules in training and in prompts: what defences are made of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from truing.spec.part import Part


def is_none(value: object) -> bool:
    """For keys that stand in a resolved spec only where somebody set them: specs of before them, and
    their digests, read as they did."""
    return value is None


KL_WEIGHT = 1.0


def _is_usual(weight: object) -> bool:
    """For the same reason as `is_none`."""
    return weight == KL_WEIGHT


class ContrastSpec(Part):
    """Learning to keep rules from pairs: an attack on a rule, and its twin, of the same shape, whose demand
    is permitted. Both are of the training side: wordings and items that no evaluation asks."""

    rules: tuple[str, ...] = Field(
        (), description="rules by id; without any, all that can be attacked"
    )
    pairs: int = Field(96, ge=1, description="attacks, each with its twin")
    neutral: int = Field(
        76,
        ge=0,
        description="training questions that are answered as the base does, to lose nothing",
    )
    kl_weight: float = Field(
        KL_WEIGHT,
        ge=0,
        exclude_if=_is_usual,
        description="for sft: price of a nat of KL from the base at each token of a neutral answer, over "
        "the whole vocabulary; with 0 those answers themselves are learned",
    )


class RemindSpec(Part):
    """Telling the model to keep its rules, in so many words, instead of choosing a prompt."""

    rules: tuple[str, ...] = Field(
        (), description="the task's rules by id that are told; without any, all of them"
    )
    where: Literal["before", "after", "both"] = Field(
        "before", description="behind the instruction, behind the user's turn, or both"
    )
