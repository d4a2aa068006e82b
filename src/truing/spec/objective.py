"""The spec's part about objectives: which there are, and which keys each has a use for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from truing.spec.part import Part

ObjectiveName = Literal["reinforce", "grpo", "dr_grpo", "ppo", "weighted", "best_of_n"]


class ObjectiveSpec(Part):
    """How the policy learns from its scored answers. Keys that the objective has no use for are
    refused where they differ from their default."""

    name: ObjectiveName = Field("reinforce", description="the objective")
    baseline: Literal["none", "constant", "moving_average", "leave_one_out", "value"] = Field(
        "leave_one_out",
        description="what a return is compared with; reinforce and ppo. 'value' is learned from the "
        "reference's hidden states",
    )
    constant: float = Field(0.0, description="the constant baseline's value")
    rate: float = Field(
        0.1,
        gt=0,
        le=1,
        description="share of a batch in what moving_average and value have learned",
    )
    ridge: float = Field(
        0.1,
        ge=0,
        description="penalty on the learned value's weights, as a multiple of a feature's mean square",
    )
    to_go: bool = Field(
        False, description="credit a token with what came after it alone; reinforce"
    )
    discount: float = Field(
        1.0, gt=0, le=1, description="worth of a reward one token later; reinforce and ppo"
    )
    gae_lambda: float = Field(
        1.0,
        ge=0,
        le=1,
        description="lambda of generalised advantages; ppo. Below 1 it needs the baseline 'value'",
    )
    clip: float = Field(
        0.2, gt=0, lt=1, description="how far the ratio of new to old probability counts"
    )
    temperature: float = Field(1.0, gt=0, description="weights are exp(return / this); weighted")
    entropy_weight: float = Field(0.0, ge=0, description="bonus for a nat of entropy per token")
    epochs: int = Field(1, ge=1, description="times through each batch; ppo, grpo, dr_grpo")
    minibatches: int = Field(
        1, ge=1, description="gradient steps each time through; ppo, grpo, dr_grpo"
    )
    max_update_kl: float | None = Field(
        None, gt=0, description="no further epoch above this KL per token since sampling (nats)"
    )


_COMPARED = frozenset({"baseline", "constant", "rate", "ridge", "discount"})
_CLIPPED = frozenset({"clip", "epochs", "minibatches", "max_update_kl"})
OBJECTIVE_KEYS: dict[ObjectiveName, frozenset[str]] = {
    "reinforce": _COMPARED | {"to_go"},
    "ppo": _COMPARED | _CLIPPED | {"gae_lambda"},
    "grpo": _CLIPPED,
    "dr_grpo": _CLIPPED,
    "weighted": frozenset({"temperature"}),
    "best_of_n": frozenset(),
}
"""The keys that each objective has a use for, beside `name` and `entropy_weight`."""
BASELINE_KEYS = {
    "constant": ("constant",),
    "rate": ("moving_average", "value"),
    "ridge": ("value",),
    "gae_lambda": ("value",),
}
"""The keys that only some baselines have a use for."""


def objective_mistake(chosen: ObjectiveSpec) -> str:
    """What is wrong with the objective's keys taken together; empty where nothing is."""
    used = OBJECTIVE_KEYS[chosen.name] | {"name", "entropy_weight"}
    for key, field in ObjectiveSpec.model_fields.items():
        if key not in used and getattr(chosen, key) != field.default:
            who = " and ".join(name for name, keys in OBJECTIVE_KEYS.items() if key in keys)
            return (
                f"rl.objective.{key}: {chosen.name} has no use for it; leave it out (used by {who})"
            )
    for key, baselines in BASELINE_KEYS.items():
        set_ = getattr(chosen, key) != ObjectiveSpec.model_fields[key].default
        if set_ and chosen.baseline not in baselines:
            names = " or ".join(f"'{name}'" for name in baselines)
            return f"rl.objective.{key}: belongs to the baseline {names}; set baseline to it"
    return ""
