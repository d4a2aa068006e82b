"""From the spec to an objective, its passes and its stop rules: the one place where they are chosen."""

from __future__ import annotations

from torch import Tensor

from truing.learn.objectives.baselines import (
    Baseline,
    Constant,
    LearnedValue,
    LeaveOneOut,
    MovingAverage,
)
from truing.learn.objectives.best_of_n import BestOfN
from truing.learn.objectives.dr_grpo import DrGrpo
from truing.learn.objectives.grpo import Grpo
from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Sampled
from truing.learn.objectives.ppo import Ppo
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.values import LinearValue
from truing.learn.objectives.weighted import Weighted
from truing.learn.stopping import KlAbove, RewardPlateau, StopRule
from truing.learn.text_states import TextStates
from truing.learn.update import Passes
from truing.policies.trajectories import Trajectories
from truing.spec.objective import ObjectiveSpec
from truing.spec.run import RlSpec


def _unknown(trajectories: Trajectories) -> Tensor:
    raise AssertionError("an objective without states is made to be checked, not to learn")


def _baseline(spec: ObjectiveSpec, states: TextStates | None) -> Baseline:
    if spec.baseline == "value":
        size = states.size if states else 0
        return LearnedValue(LinearValue(states or _unknown, size, spec.rate, spec.ridge))
    if spec.baseline == "leave_one_out":
        return LeaveOneOut()
    if spec.baseline == "moving_average":
        return MovingAverage(spec.rate)
    return Constant(spec.constant if spec.baseline == "constant" else 0.0)


def objective_of(rl: RlSpec, states: TextStates | None = None) -> Sampled:
    """The objective that the spec describes, new (a baseline that learns begins at nothing).

    `states` is what a learned value knows of texts; without it the objective is only good for checks.
    Raises InputError where it compares more samples of a prompt than `samples_per_prompt`.
    """
    spec = rl.objective
    kl = KL(rl.kl_weight, rl.kl_estimator, rl.kl_place)
    entropy = spec.entropy_weight
    objective: Sampled
    match spec.name:
        case "reinforce":
            objective = Reinforce(
                baseline=_baseline(spec, states),
                to_go=spec.to_go,
                discount=spec.discount,
                kl=kl,
                entropy_weight=entropy,
            )
        case "ppo":
            objective = Ppo(
                baseline=_baseline(spec, states),
                clip=spec.clip,
                discount=spec.discount,
                decay=spec.gae_lambda,
                kl=kl,
                entropy_weight=entropy,
            )
        case "grpo":
            objective = Grpo(clip=spec.clip, kl=kl, entropy_weight=entropy)
        case "dr_grpo":
            objective = DrGrpo(clip=spec.clip, kl=kl, entropy_weight=entropy)
        case "weighted":
            objective = Weighted(temperature=spec.temperature, kl=kl, entropy_weight=entropy)
        case "best_of_n":
            objective = BestOfN(kl=kl, entropy_weight=entropy)
    objective.require_group(rl.samples_per_prompt)
    return objective


def passes_of(rl: RlSpec, seed: int) -> Passes:
    """How often each batch is learned from."""
    spec = rl.objective
    return Passes(spec.epochs, spec.minibatches, spec.max_update_kl, seed)


def stop_rules_of(rl: RlSpec) -> tuple[StopRule, ...]:
    """When training ends before its last step."""
    plateau = (RewardPlateau(rl.plateau),) if rl.plateau is not None else ()
    return (KlAbove(rl.max_kl), *plateau)


def described(rl: RlSpec) -> str:
    """The objective in a few words, for model cards."""
    spec = rl.objective
    text = {
        "reinforce": "REINFORCE",
        "ppo": "PPO",
        "grpo": "GRPO",
        "dr_grpo": "Dr. GRPO",
        "weighted": "reward-weighted likelihood",
        "best_of_n": f"the best of {rl.samples_per_prompt}",
    }[spec.name]
    if spec.name in ("reinforce", "ppo"):
        against = {
            "none": "no baseline",
            "constant": "a constant baseline",
            "moving_average": "a moving average as baseline",
            "leave_one_out": "a leave-one-out baseline",
            "value": "a learned value as baseline",
        }
        text += f" with {against[spec.baseline]}"
    return text + (f", with a KL penalty to the base in the {rl.kl_place}" if rl.kl_weight else "")
