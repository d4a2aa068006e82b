"""From the spec to an objective at work and its stop rules."""

from __future__ import annotations

from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Objective, Sampled
from truing.learn.objectives.values import StateFeatures
from truing.learn.stopping import KlAbove, RewardPlateau, StopRule
from truing.spec.run import RlSpec


def objective_of(rl: RlSpec, states: StateFeatures | None = None) -> Objective:
    """The objective that the spec describes, new (a baseline that learns begins at nothing).

    `states` is what a learned value knows of texts; without it the objective is only good for checks.
    Raises InputError where it compares more samples of a prompt than `samples_per_prompt`.
    """
    assert isinstance(rl.objective, Sampled), "rl.objective takes those of the policy's own samples"
    rl.objective.require_group(rl.samples_per_prompt)
    return rl.objective.build(KL(rl.kl_weight, rl.kl_estimator, rl.kl_place), states)


def stop_rules_of(rl: RlSpec) -> tuple[StopRule, ...]:
    """When training ends before its last step."""
    plateau = (RewardPlateau(rl.plateau),) if rl.plateau is not None else ()
    return (KlAbove(rl.max_kl), *plateau)


def described(rl: RlSpec) -> str:
    """The objective and the price on KL in a few words, for model cards."""
    text = rl.objective.described(rl.samples_per_prompt)
    if rl.staleness:
        text += f", from answers that were at most {rl.staleness} update(s) old"
    return text + (f", with a KL penalty to the base in the {rl.kl_place}" if rl.kl_weight else "")
