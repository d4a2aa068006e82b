"""Every objective's gradient against the exact one, by enumerating all that can happen."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gradient_table import NONE, Line, tables, z_scores
from paths import DOCS
from truing.learn import DrGrpo, Ppo, Reinforce, RejectionSampling
from truing.learn.objectives.baselines import Constant
from truing.learn.objectives.kl import KL
from worlds import (
    HORIZON,
    World,
    entropies,
    estimates,
    expected_return,
    sequences,
    slippery_grid,
)

WORLDS = {"grid": slippery_grid(), "text": sequences()}
PAGE = DOCS / "objectives.md"
FEW, MANY = 4_000, 16_000
FAR = 4.8  # standard errors; one in 600,000 numbers is farther out by chance


@pytest.fixture(scope="module")
def measured() -> list[Line]:
    return [line for lines in tables(MANY).values() for line in lines]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


def _assert_near(found: Tensor, exact: Tensor) -> None:
    z = z_scores(found, exact)
    assert len(z) > 10
    assert float(z.abs().max()) < FAR
    assert float(z.square().mean()) < 2.2  # few of these numbers are independent


def test_the_enumeration_is_complete(world: World) -> None:
    for table in (world.logits, world.reference):
        assert float(world.probabilities(table).sum()) == pytest.approx(1)
    discounts = 0.9 ** torch.arange(HORIZON)
    grid = WORLDS["grid"]
    by_paths = (grid.probabilities(grid.logits) * (grid.reward_NT * discounts).sum(1)).sum()
    assert float(by_paths) == pytest.approx(expected_return(grid.logits, 0.9))
    assert len(set(grid.mask_NT.sum(1).tolist())) > 1  # trajectories of several lengths


def test_unbiased_ones_agree_with_the_exact_gradient(measured: list[Line]) -> None:
    unbiased = [line for line in measured if line.unbiased]
    assert len(unbiased) == 2 * 10
    for line in unbiased:
        largest, spread = float(line.z.abs().max()), float(line.z.square().mean())
        print(f"{line.world}, {line.name}: largest |z| {largest:.2f}, mean z^2 {spread:.2f}")
        assert largest < FAR
        assert 0.4 < spread < 2.2  # as far off as chance makes them, and no less


def test_biased_ones_do_not(measured: list[Line]) -> None:
    for line in measured:
        if line.unbiased or (line.direction > 0.97 and abs(line.length - 1) < 0.1):
            continue  # a bias that so few samples don't show
        print(f"{line.world}, {line.name}: largest |z| {float(line.z.abs().max()):.0f}")
        assert float(line.z.abs().max()) > FAR


@pytest.mark.parametrize("discount", [1.0, 0.8])
@pytest.mark.parametrize("to_go", [False, True])
def test_the_error_falls_with_the_root_of_the_samples(
    world: World, discount: float, to_go: bool
) -> None:
    objective = Reinforce(to_go=to_go, discount=discount, kl=KL(0.3 if discount == 1 else 0.0))
    weights = discount ** torch.arange(world.reward_NT.shape[1])
    exact = world.gradient((world.reward_NT * weights).sum(1))
    exact = exact - objective.kl.weight * world.kl_gradient()
    errors = []
    for groups in (FEW, MANY):
        found = estimates(world, objective, groups, groups)
        _assert_near(found, exact)
        errors.append(float((found.mean(0) - exact).norm()))
    assert errors[1] < 0.9 * errors[0]
    # The same samples aren't taken for another gradient.
    wrong = world.gradient(world.reward_NT.sum(1)) * 1.3 - 0.3 * world.kl_gradient()
    assert float(z_scores(found, wrong).abs().max()) > 6


def test_leaving_out_the_discount_before_the_credit_is_biased() -> None:
    world = WORLDS["grid"]
    exact = world.gradient((world.reward_NT * 0.5 ** torch.arange(HORIZON)).sum(1))
    usual = estimates(world, Ppo(baseline=NONE, discount=0.5), MANY, 1)
    assert float(z_scores(usual, exact).abs().max()) > 10
    right = estimates(world, Reinforce(baseline=NONE, to_go=True, discount=0.5), MANY, 1)
    _assert_near(right, exact)


def test_baselines_cut_the_variance(measured: list[Line]) -> None:
    variance = {(line.world, line.name): line.variance for line in measured}
    for world in WORLDS:
        none = variance[world, "REINFORCE, no baseline"]
        assert variance[world, "REINFORCE, moving average"] < 0.8 * none
        assert variance[world, "reward-to-go, learned value"] < 0.55 * none
    assert variance["text", "REINFORCE, leave-one-out"] < 0.4
    assert variance["text", "REINFORCE, constant 1"] < 0.5
    # Not every baseline helps everywhere: a wrong constant harms, and where returns are near 0 the
    # mean of three others is no better than none.
    assert variance["grid", "REINFORCE, constant 1"] > 2
    assert 0.9 < variance["grid", "REINFORCE, leave-one-out"] < 1.1


def test_dr_grpo_is_leave_one_out_times_three_quarters(world: World) -> None:
    exact = world.gradient(world.reward_NT.sum(1))
    _assert_near(estimates(world, DrGrpo(), MANY, 3), 0.75 * exact)


def test_best_of_4_has_the_gradient_of_the_best(world: World) -> None:
    value_N = world.reward_NT.sum(1)
    chance_N = world.probabilities(world.logits)
    values, place_N = value_N.unique(return_inverse=True)
    of_value = torch.zeros(len(values)).double().index_add_(0, place_N, chance_N)
    up_to = of_value.cumsum(0)
    # The best value of four is this one, and not all four have it; its samples share the 1.
    best = up_to**4 - (up_to - of_value) ** 4 - of_value**4
    weight_N = best[place_N] / of_value[place_N]
    exact = world.gradient(weight_N / 4)
    _assert_near(estimates(world, RejectionSampling(), MANY, 4), exact)


@pytest.mark.parametrize("clip", [0.2, 1e9])
def test_ppo_has_the_gradient_of_the_clipped_surrogate(world: World, clip: float) -> None:
    now = world.logits + 3 * world.gradient(world.reward_NT.sum(1))
    table = now.clone().requires_grad_()
    ratio_NT = (world.log_probs(table) - world.log_probs(world.logits)).exp()
    credit_NT = world.reward_NT.flip(1).cumsum(1).flip(1) - 0.5
    surrogate_NT = torch.minimum(
        ratio_NT * credit_NT, ratio_NT.clamp(1 - clip, 1 + clip) * credit_NT
    )
    chance_N = world.probabilities(world.logits)
    (chance_N * (surrogate_NT * world.mask_NT).sum(1)).sum().backward()
    assert table.grad is not None
    objective = Ppo(baseline=Constant(constant=0.5)).model_copy(update={"clip": clip})
    found = estimates(world, objective, MANY, 5, now=now)
    _assert_near(found, table.grad)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_kl_in_the_loss_has_the_gradient_of_visited_states(world: World, estimator: str) -> None:
    idle = replace(world, reward_NT=torch.zeros_like(world.reward_NT))
    table = world.logits.clone().requires_grad_()
    now, reference = table.log_softmax(-1), world.reference.log_softmax(-1)
    of_state = {
        "k1": 0 * now.sum(-1),
        "k2": (now.exp() * (now - reference)).sum(-1),  # KL(policy || reference)
        "k3": (reference.exp() * (reference - now)).sum(-1),  # KL(reference || policy)
    }[estimator]
    (world.visits() * of_state).sum().backward()
    assert table.grad is not None
    objective = Reinforce(baseline=NONE, kl=KL(0.7, estimator, "loss"))
    _assert_near(estimates(idle, objective, MANY, 6), -0.7 * table.grad)


def test_the_entropy_bonus_has_the_gradient_of_visited_states(world: World) -> None:
    idle = replace(world, reward_NT=torch.zeros_like(world.reward_NT))
    table = world.logits.clone().requires_grad_()
    (world.visits() * entropies(table)).sum().backward()
    assert table.grad is not None
    objective = Reinforce(baseline=NONE, entropy_weight=0.7)
    _assert_near(estimates(idle, objective, MANY, 7), 0.7 * table.grad)


def test_the_documentation_states_these_figures(measured: list[Line]) -> None:
    rows = re.findall(
        r"^\| (.+?) \| (grid|text) \| (\w+) \| (\S+) \| (\S+) \| (\S+) \|$",
        PAGE.read_text(encoding="utf-8"),
        re.M,
    )
    stated = {(world, name): figures for name, world, *figures in rows}
    assert stated.keys() == {(line.world, line.name) for line in measured}
    for line in measured:
        verdict, direction, length, variance = stated[line.world, line.name]
        assert verdict == ("unbiased" if line.unbiased else "biased")
        assert float(length) == pytest.approx(line.length, rel=0.06, abs=0.04)
        assert float(variance) == pytest.approx(line.variance, rel=0.15, abs=0.02)
        if abs(line.length) > 0.1:  # else the direction is that of the noise
            assert float(direction) == pytest.approx(line.direction, abs=0.03)
