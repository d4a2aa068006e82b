"""Batches that are drawn ahead: by which version each is, and the gradient of what is old and biased."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gradient_table import joint_z
from training_worker import TableApart
from truing.learn import Reinforce
from truing.learn.correction import LARGEST_SEQUENCE_RATIO, LARGEST_TOKEN_RATIO
from truing.learn.sources.ahead import Ahead
from truing.learn.update import update
from truing.spec.run import Correction
from waiting import LONG
from worlds import World, biased_sampler, choices, estimates, sequences, slippery_grid

WORLDS = {"grid": slippery_grid(), "text": sequences(), "choices": choices()}
GROUPS, SEED = 16_000, 2
STEP, RATE = 7, 0.05
"""The step whose gradient is looked at, and the learning rate of those before it."""


@pytest.mark.parametrize("staleness", [0, 1, 4])
@pytest.mark.parametrize("first", [1, 4])
def test_each_step_is_drawn_by_the_version_that_its_number_says(staleness: int, first: int) -> None:
    published: list[int] = []
    drawn: list[tuple[int, int]] = []

    def draw(step: int, version: int) -> tuple[int, int]:
        drawn.append((step, version))
        return step, version

    ahead = Ahead(draw, published.append, staleness, last=9)
    found = [ahead.of(step) for step in range(first, 10)]
    ahead.close()
    assert found == [(step, max(0, step - 1 - staleness)) for step in range(first, 10)]
    assert drawn == found  # each once, in order, and none behind the last
    assert published == list(range(first - 1, 9))


def test_it_draws_while_its_learner_learns_and_tells_what_went_wrong_in_its_turn() -> None:
    learning = threading.Event()

    def draw(step: int, version: int) -> int:
        if step == 2:
            assert learning.wait(LONG), "nothing was drawn while the learner learned"
        if step == 3:
            raise ValueError("step 3")
        return step

    ahead = Ahead(draw, lambda version: None, 1, last=9)
    assert ahead.of(1) == 1  # though the next one is being drawn
    learning.set()
    assert ahead.of(2) == 2
    with pytest.raises(ValueError, match="step 3"):
        ahead.of(3)
    ahead.close()


class _Learning:
    """A table that learns from samples of a biased table of some updates ago."""

    def __init__(self, world: World, staleness: int, correction: Correction) -> None:
        self.world, self.correction = world, correction
        self.bias = biased_sampler(world) - world.logits
        self.policy = TableApart(world.logits)
        self.versions: dict[int, Tensor] = {}
        self.ahead = Ahead(self._acting, self._publish, staleness, STEP)

    def _publish(self, version: int) -> None:
        self.versions[version] = self.policy.logits.detach().clone()

    def _acting(self, step: int, version: int) -> Tensor:
        return self.versions[version] + self.bias

    def learned(self) -> Tensor:
        """The table that acts in the step that is looked at, behind the updates before it."""
        optimizer = torch.optim.SGD([self.policy.logits], RATE)
        for step in range(1, STEP):
            batch = self.world.draw(8, 4, step, self.ahead.of(step))
            update(self.policy, optimizer, Reinforce(), batch, 1.0)
        acting = self.ahead.of(STEP)
        self.ahead.close()
        return acting


@pytest.mark.parametrize("staleness", [0, 1, 4])
@pytest.mark.parametrize(
    ("name", "correction"), [("choices", "token"), ("grid", "sequence"), ("text", "sequence")]
)
def test_old_samples_of_a_biased_sampler_have_the_gradient_of_now(
    name: str, correction: Correction, staleness: int
) -> None:
    """Where neither bound binds: within 3 standard errors of the exact gradient at the weights of now, all
    entries taken together."""
    learning = _Learning(WORLDS[name], staleness, correction)
    acting = learning.learned()
    now = replace(WORLDS[name], logits=learning.policy.logits.detach())
    log_ratio_NT = now.log_probs(now.logits) - now.log_probs(acting)
    assert 1.2 < float(log_ratio_NT.exp().max()) < LARGEST_TOKEN_RATIO
    assert float(log_ratio_NT.sum(1).exp().max()) < LARGEST_SEQUENCE_RATIO
    moved = float((now.logits - (acting - learning.bias)).abs().max())
    assert (moved > 1e-9) == (staleness > 0)
    exact = now.gradient(now.reward_NT.sum(1))
    corrected_z, z = (
        joint_z(estimates(now, Reinforce(), GROUPS, SEED, sampler=acting, correction=how), exact)
        for how in (correction, "none")
    )
    print(f"{name}, {staleness}: joint z {corrected_z:.2f}, uncorrected {z:.1f}")
    assert corrected_z < 3
    assert z > 8
