"""Corrections by the pass that learns: the same gradient as by a pass before it, and the exact one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from training_worker import TableApart
from truing.learn import Grpo, Ppo, Reinforce
from truing.learn.checkpoint import Checkpoint
from truing.learn.correction import corrected
from truing.learn.in_passing import can_correct_in_passing, corrected_in_passing, figures_of
from truing.learn.loop import Settings, train
from truing.learn.objectives.baselines import MovingAverage
from truing.learn.objectives.kl import KL
from truing.learn.update_schedule import UpdateSchedule
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.spec.run import Correction
from worlds import TablePolicy, biased_sampler, choices, sequences, update_gradients

ONCE = UpdateSchedule()


class InPassing(TableApart):
    """A table that is sampled from by another, and corrected by its updates."""

    corrects_in_passing = True


@pytest.mark.parametrize("objective", [Reinforce(), Ppo(), Grpo(kl=KL(0.1, "k3", "loss"))])
def test_the_update_s_own_pass_corrects_as_a_pass_before_it(
    objective: Reinforce | Ppo | Grpo,
) -> None:
    world = sequences()
    batch = world.draw(6, 4, 3, biased_sampler(world))
    table, once = InPassing(world.logits, piece=5), ONCE
    assert can_correct_in_passing(table, objective, batch, "token", once)
    before, row = corrected(table, batch, "token", Ranks())
    wanted, learned = update_gradients(table, objective, before)
    found, found_row = update_gradients(table, corrected_in_passing(objective), batch)
    torch.testing.assert_close(found["logits"], wanted["logits"], atol=1e-12, rtol=0)
    every = objective.has_gradient(batch, objective.credit(batch)).all()
    assert every and figures_of(found_row) == pytest.approx(learned | row)


@pytest.mark.parametrize(
    ("objective", "correction", "schedule"),
    [
        (Reinforce(kl=KL(0.1), to_go=True), "token", ONCE),  # credit asks for log-probabilities
        (Reinforce(kl=KL(0.1), baseline=MovingAverage()), "token", ONCE),
        (Grpo(kl=KL(0.1)), "token", ONCE),
        (Reinforce(), "sequence", ONCE),
        (Reinforce(), "none", ONCE),
        (Ppo(), "token", UpdateSchedule(epochs=2)),  # the second pass is another policy's
        (Ppo(), "token", UpdateSchedule(minibatches=2)),
    ],
)
def test_where_the_own_pass_does_not_know_there_is_one_before_it(
    objective: Reinforce | Ppo | Grpo, correction: Correction, schedule: UpdateSchedule
) -> None:
    world = sequences()
    batch = world.draw(2, 4, 3, biased_sampler(world))
    policies = (InPassing(world.logits), TableApart(world.logits), TablePolicy(world.logits))
    assert not any(
        can_correct_in_passing(policy, objective, batch, correction, schedule)
        for policy in policies
    )


def test_a_training_takes_a_pass_more_only_where_it_must(tmp_path: Path) -> None:
    passes: list[int] = []

    class Watched(InPassing):
        def log_probs(self, trajectories: Trajectories) -> Tensor:
            passes.append(len(trajectories))
            return super().log_probs(trajectories)

    world = sequences()
    policy = Watched(world.logits)

    class Draws:
        def batch(self, step: int) -> tuple[Trajectories, dict[str, float]]:
            return world.draw(4, 4, step, biased_sampler(world)), {}

    for objective, expected in (
        (Reinforce(), 2),
        (Reinforce(kl=KL(0.1)), 2),
        (Grpo(kl=KL(0.1)), 4),
    ):
        passes.clear()
        folder = tmp_path / objective.name / str(objective.kl.weight)
        checkpoint = Checkpoint(folder, folder / "log.jsonl")
        train(policy, Draws(), objective, Settings(2, 0.1, 1.0, correction="token"), checkpoint)
        assert len(passes) == expected
        assert all(0.5 < row["effective_sample_size"] < 1 for row in checkpoint.rows)


def test_a_price_of_kl_in_the_reward_has_the_exact_gradient() -> None:
    """One action each, where ratios by token leave no bias."""
    world, batches, objective = choices(), 60, Reinforce(kl=KL(0.3))
    exact = world.gradient(world.reward_NT.sum(1)) - 0.3 * world.kl_gradient()
    policy = InPassing(world.logits)
    found, before = [], []
    for seed in range(batches):
        batch = world.draw(400, 4, seed, biased_sampler(world))
        assert can_correct_in_passing(policy, objective, batch, "token", ONCE)
        gradients, _ = update_gradients(policy, corrected_in_passing(objective), batch)
        found.append(-gradients["logits"].clone())
        batch, _ = corrected(policy, batch, "token", Ranks())
        before.append(-update_gradients(policy, objective, batch)[0]["logits"].clone())
    for gradients_ in (found, before):
        apart = torch.stack(gradients_) - exact
        z = apart.mean(0) / (apart.std(0) / batches**0.5)
        assert float(z.abs().max()) < 3.5
    variances = [float(torch.stack(each).var(0).sum()) for each in (found, before)]
    assert 0.9 < variances[0] / variances[1] < 1.1
