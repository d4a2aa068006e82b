"""Judgements that come late: the weighted gradient against enumeration, and what late people are worth."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from paths import ROOT
from training_worker import TableApart
from truing.learn import Reinforce
from truing.learn.correction import LARGEST_LATE_RATIO, corrected, late
from truing.learn.objectives.baselines import NoBaseline
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.spec.people import Ratio
from worlds import TablePolicy, World, choices, sequences, slippery_grid, update_gradients

WORLDS = {"grid": slippery_grid(), "text": sequences(), "choices": choices()}


def _acting(world: World, far: float) -> Tensor:
    """The table that acted some steps ago."""
    generator = torch.Generator().manual_seed(7)
    return world.logits + far * torch.randn(world.logits.shape, generator=generator).double()


def _expected(world: World, acting: Tensor, ratio: Ratio) -> tuple[Tensor, Trajectories]:
    """The gradient of an update from every trajectory there is, each counting as often as it happens."""
    rows = torch.arange(len(world.world_N))
    batch = world.trajectories(rows, torch.zeros(len(rows), dtype=torch.long), acting)
    share_N = world.probabilities(acting).detach() * len(rows)
    learner_NT = world.log_probs(world.logits).detach()
    weighted, _ = late(batch, learner_NT, share_N, ratio)
    gradients, _ = update_gradients(
        TablePolicy(world.logits), Reinforce(baseline=NoBaseline()), weighted
    )
    return -gradients["logits"], weighted


@pytest.mark.parametrize("ratio", ["token", "answer"])
@pytest.mark.parametrize("far", [0.02, 1.0])
@pytest.mark.parametrize("world", WORLDS.values(), ids=list(WORLDS))
def test_the_gradient_is_that_of_truncated_ratios(world: World, far: float, ratio: Ratio) -> None:
    acting = _acting(world, far)
    found, _ = _expected(world, acting, ratio)
    table = world.logits.clone().requires_grad_()
    own_NT = world.log_probs(table)
    log_ratio_NT = (own_NT - world.log_probs(acting)).detach()
    if ratio == "answer":
        log_ratio_NT = log_ratio_NT.sum(1, keepdim=True)
    weight_NT = log_ratio_NT.exp().clamp(max=2.0) * world.mask_NT
    chance_N, return_N = world.probabilities(acting).detach(), world.reward_NT.sum(1)
    (chance_N[:, None] * weight_NT * return_N[:, None] * own_NT).sum().backward()
    assert table.grad is not None and float(table.grad.norm()) > 0.05
    torch.testing.assert_close(found, table.grad, atol=1e-12, rtol=0)
    assert bool((log_ratio_NT > torch.tensor(2.0).log()).any()) == (far == 1.0)


@pytest.mark.parametrize(
    ("name", "ratio"), [("choices", "token"), *((name, "answer") for name in WORLDS)]
)
def test_without_the_bound_it_is_the_gradient_of_now(name: str, ratio: Ratio) -> None:
    world = WORLDS[name]
    exact = world.gradient(world.reward_NT.sum(1))
    found, _ = _expected(world, _acting(world, 0.05), ratio)
    torch.testing.assert_close(found, exact, atol=1e-12, rtol=0)


def test_a_batch_that_is_weighted_already_is_not_corrected_again() -> None:
    world = WORLDS["text"]
    _, weighted = _expected(world, _acting(world, 0.3), "answer")
    policy = TableApart(world.logits)
    assert corrected(policy, weighted, "token", Ranks()) == (weighted, {})
    assert corrected(policy, replace(weighted, correction_BT=None), "token", Ranks())[1]


def test_weights_and_figures_by_hand() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    acting, zero = torch.full((2, 2), -1.0).double() * mask, torch.zeros(2, 2).double()
    batch = Trajectories(mask, zero, torch.arange(2), acting, zero)
    learner = acting + torch.tensor([[4.0, 0.5], [1.5, 1.0]]).double().log()
    share = torch.tensor([1.0, 0.5])
    found, row = late(batch, learner, share, "token")
    assert found.correction_BT is not None
    torch.testing.assert_close(
        found.correction_BT, torch.tensor([[2.0, 0.5], [0.75, 0.0]]).double()
    )
    assert row["late_ratio"] == pytest.approx(2.0) and row["late_truncated"] == pytest.approx(1 / 3)
    found, row = late(batch, learner, share, "answer")
    assert found.correction_BT is not None
    torch.testing.assert_close(
        found.correction_BT, torch.tensor([[LARGEST_LATE_RATIO] * 2, [0.75, 0.0]]).double()
    )
    assert torch.equal(found.log_prob_BT, learner)


def test_late_people_teach_nearly_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark, small: few seeds, of each kind one; its figures are in the docs."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    late_people = importlib.import_module("late_people")
    for kind in ("noisy", "adversarial"):
        row = late_people.measured(kind, 2, 60, 8, "token")
        assert row["in_time"] > 0.3, kind
        assert row["share"] > 0.7, kind
