"""How far each objective's gradient is from the exact one: the tables of docs/objectives.md.

    python tests/support/gradient_table.py

prints them. Direction is the cosine between the mean estimate and the exact gradient, length the mean
estimate's projection on the exact gradient over its length (1 and 1: unbiased), variance that of one
group's estimate, summed over parameters, as a multiple of REINFORCE without a baseline. Groups have
4 samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from truing.learn import DrGrpo, Grpo, Objective, Ppo, Reinforce, RejectionSampling, Weighted
from truing.learn.objectives.baselines import Constant, LearnedValue, MovingAverage
from truing.learn.objectives.kl import KL
from truing.learn.objectives.values import TabularValue
from truing.policies.trajectories import Trajectories
from truing.spec.run import Correction
from worlds import World, biased_sampler, entropies, estimates, sequences, slippery_grid

GROUPS = 200_000
NONE = Constant()


@dataclass(frozen=True)
class Line:
    """One line of a table: what was estimated, by what, and how well."""

    world: str
    name: str
    direction: float
    length: float
    variance: float
    unbiased: bool
    z: Tensor

    def __str__(self) -> str:
        verdict = "unbiased" if self.unbiased else "biased"
        return (
            f"| {self.name} | {self.world} | {verdict} | {self.direction:.3f} | "
            f"{self.length:.3f} | {self.variance:.2f} |"
        )


def z_scores(found: Tensor, exact: Tensor) -> Tensor:
    """Errors of the mean over its standard error, wherever there is any variance."""
    error = found.std(0) / len(found) ** 0.5
    return ((found.mean(0) - exact) / error)[error > 1e-12]


def joint_z(found: Tensor, exact: Tensor) -> float:
    """How far the mean is from the exact gradient in all entries at once, as a standard normal deviate.

    Hotelling's T^2 with the estimates' own covariance, in the directions that have any variance; among so
    many groups it is chi-square with as many degrees of freedom, and its cube root nearly normal (Wilson
    and Hilferty, 1931).
    """
    error = (found.mean(0) - exact).flatten().double()
    covariance = found.flatten(1).double().T.cov() / len(found)
    variance, direction = torch.linalg.eigh(covariance)
    moves = variance > 1e-9 * variance.max()
    squared = float(((error @ direction)[moves].square() / variance[moves]).sum())
    degrees = int(moves.sum())
    spread = 2 / (9 * degrees)
    return float(((squared / degrees) ** (1 / 3) - (1 - spread)) / spread**0.5)


def _state(trajectories: Trajectories) -> Tensor:
    return trajectories.data[..., 0]


def learned(world: World, baseline: MovingAverage | LearnedValue) -> Reinforce:
    """REINFORCE with reward-to-go whose baseline has seen 200 batches."""
    objective = Reinforce(baseline=baseline, to_go=isinstance(baseline, LearnedValue))
    for step in range(200):
        objective.learn(world.draw(8, 4, 10_000 + step, world.logits))
    return objective


def objectives(world: World) -> Iterator[tuple[str, Objective, bool]]:
    """Name, objective, whether its gradient at the first update is unbiased."""
    values = TabularValue(len(world.logits), _state)
    value = learned(world, LearnedValue(values=values))
    average = learned(world, MovingAverage())
    yield "REINFORCE, no baseline", Reinforce(baseline=NONE), True
    yield "REINFORCE, constant 1", Reinforce(baseline=Constant(constant=1.0)), True
    yield "REINFORCE, moving average", average, True
    yield "REINFORCE, leave-one-out", Reinforce(), True
    yield "reward-to-go, no baseline", Reinforce(baseline=NONE, to_go=True), True
    yield "reward-to-go, leave-one-out", Reinforce(to_go=True), True
    yield "reward-to-go, learned value", value, True
    yield "PPO, first update, lambda 1", Ppo(baseline=value.baseline), True
    yield "PPO, first update, lambda 0.9", Ppo(baseline=value.baseline, gae_lambda=0.9), False
    yield "Dr. GRPO, first update", DrGrpo(), False
    yield "GRPO, first update", Grpo(), False
    yield "weighted, temperature 1", Weighted(), False
    yield "weighted, temperature 0.2", Weighted(temperature=0.2), False
    yield "rejection sampling", RejectionSampling(), False


def _line(world: str, name: str, found: Tensor, exact: Tensor, unit: float, unbiased: bool) -> Line:
    mean = found.mean(0)
    return Line(
        world,
        name,
        float((mean * exact).sum() / (mean.norm() * exact.norm())),
        float((mean * exact).sum() / exact.square().sum()),
        float(found.var(0).sum()) / unit,
        unbiased,
        z_scores(found, exact),
    )


def return_table(world: World, label: str, groups: int) -> list[Line]:
    """Against the gradient of the expected return."""
    exact = world.gradient(world.reward_NT.sum(1))
    lines, unit = [], 0.0
    for number, (name, objective, unbiased) in enumerate(objectives(world)):
        found = estimates(world, objective, groups, number)
        unit = unit or float(found.var(0).sum())
        lines.append(_line(label, name, found, exact, unit, unbiased))
    return lines


CORRECTIONS: dict[str, Correction] = {
    "as they are": "none",
    "by token ratios": "token",
    "by sequence ratios": "sequence",
}


def sampler_table(world: World, label: str, groups: int) -> list[Line]:
    """Samples of a biased sampler, against the gradient of the expected return of the learner."""
    exact = world.gradient(world.reward_NT.sum(1))
    sampler = biased_sampler(world)
    lines, unit = [], 0.0
    for name, correction in CORRECTIONS.items():
        found = estimates(world, Reinforce(), groups, 80, sampler=sampler, correction=correction)
        unit = unit or float(found.var(0).sum())
        unbiased = correction == "sequence"
        lines.append(_line(label, f"biased samples, {name}", found, exact, unit, unbiased))
    return lines


def kl_table(world: World, label: str, groups: int) -> list[Line]:
    """KL alone, against the gradient of -KL(policy || reference) over trajectories."""
    idle = replace(world, reward_NT=torch.zeros_like(world.reward_NT))
    exact, lines, unit = -world.kl_gradient(), [], 0.0
    for place in ("reward", "loss"):
        for estimator in ("k1", "k2", "k3"):
            objective = Reinforce(baseline=NONE, to_go=True, kl=KL(1.0, estimator, place))
            found = estimates(idle, objective, groups, 50)
            unit = unit or float(found.var(0).sum())
            unbiased = (place, estimator) == ("reward", "k1")
            name = f"KL in the {place}, {estimator}"
            lines.append(_line(label, name, found, exact, unit, unbiased))
    return lines


def stale_table(world: World, label: str, groups: int) -> list[Line]:
    """Later updates: samples of one policy, the gradient of the expected return at another."""
    exact_here = world.gradient(world.reward_NT.sum(1))
    lines, unit = [], 0.0
    for step in (1.0, 4.0):
        now = world.logits + step * exact_here
        exact = world.gradient(world.reward_NT.sum(1), now)
        moved = float(
            (
                world.probabilities(world.logits)
                * (world.log_probs(world.logits) - world.log_probs(now)).sum(1)
            ).sum()
        )
        for name, objective in (
            ("REINFORCE, leave-one-out (refused)", Reinforce()),
            ("PPO, clip 0.2", Ppo()),
            ("PPO, no clip", Ppo().model_copy(update={"clip": 1e9})),
            ("GRPO, clip 0.2", Grpo()),
        ):
            found = estimates(world, objective, groups, 60, now=now)
            unit = unit or float(found.var(0).sum())
            lines.append(_line(label, f"{name}, {moved:.2f} nats later", found, exact, unit, False))
    return lines


def entropy_table(world: World, label: str, groups: int) -> list[Line]:
    """The bonus alone, against the gradient of the entropy summed over a trajectory."""
    idle = replace(world, reward_NT=torch.zeros_like(world.reward_NT))
    table = world.logits.clone().requires_grad_()
    sum_N = (entropies(table)[world.state_NT] * world.mask_NT).sum(1)
    (world.probabilities(table) * sum_N).sum().backward()
    assert table.grad is not None
    objective = Reinforce(baseline=NONE, entropy_weight=1.0)
    found = estimates(idle, objective, groups, 70)
    unit = float(found.var(0).sum())
    return [_line(label, "entropy bonus", found, table.grad, unit, False)]


def tables(groups: int) -> dict[str, list[Line]]:
    """Every table by its heading."""
    found: dict[str, list[Line]] = {}
    for world, label in ((slippery_grid(), "grid"), (sequences(), "text")):
        for heading, make in (
            ("Gradient of the expected return", return_table),
            ("Later updates from the same batch", stale_table),
            ("Samples of another sampler", sampler_table),
            ("KL to the reference", kl_table),
            ("Entropy", entropy_table),
        ):
            found.setdefault(heading, []).extend(make(world, label, groups))
    return found


def markdown(groups: int) -> str:
    """The tables as they stand in the documentation."""
    parts = []
    for heading, lines in tables(groups).items():
        parts += [f"### {heading}", ""]
        parts += ["| | world | gradient | direction | length | variance |"]
        parts += ["| --- | --- | --- | --- | --- | --- |"]
        parts += [str(line) for line in sorted(lines, key=lambda line: line.world)] + [""]
    return "\n".join(parts)


if __name__ == "__main__":
    print(markdown(GROUPS))
