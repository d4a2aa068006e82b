"""Objectives on text: a tiny random transformer that can write 5 tokens, 4 places, 625 sequences."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gradient_table import z_scores
from tiny import plain, tiny
from truing.learn import (
    DrGrpo,
    Grpo,
    Objective,
    Ppo,
    Reinforce,
    RejectionSampling,
    Supervised,
    Weighted,
)
from truing.learn.objectives.baselines import Constant, LearnedValue
from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Current
from truing.learn.objectives.values import LinearValue
from truing.learn.text_states import TextStates
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories
from truing.spec.run import AdapterSpec
from worlds import update_gradients

VOCABULARY, LENGTH, GROUP = 5, 4, 4
PROMPT = (3, 1, 4)
TEXTS = list(itertools.product(range(VOCABULARY), repeat=LENGTH))
PLACES = {text: place for place, text in enumerate(TEXTS)}
ACTIONS = tuple(PromptCompletion(PROMPT, text) for text in TEXTS)
REWARD = torch.randn(len(TEXTS), generator=torch.Generator().manual_seed(0)) + 1
DIRECTIONS, STEP = 16, 1e-5
KL_WEIGHT = 0.3


@functools.cache
def _reference() -> Tensor:
    return _oracle_log_probs(1)[0].detach()


def _oracle_log_probs(seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """(625, 4) by plain `transformers`, differentiable in the parameters, which come by name."""
    model = plain("llama", seed=seed, vocabulary=VOCABULARY).double()
    tokens = torch.tensor([[*PROMPT, *text] for text in TEXTS])
    scores = model(input_ids=tokens, use_cache=False).logits.log_softmax(-1)
    chosen = scores[:, len(PROMPT) - 1 : -1].gather(2, tokens[:, len(PROMPT) :, None])[..., 0]
    return chosen, dict(model.named_parameters())


def _exact(kl_weight: float = 0.0) -> dict[str, Tensor]:
    """The gradient of E[reward] - kl_weight KL(policy || reference)."""
    log_prob_BT, parameters = _oracle_log_probs(0)
    log_prob_B = log_prob_BT.sum(1)
    reference_B = _reference().sum(1)
    assert float(log_prob_B.exp().sum().detach()) == pytest.approx(1)
    value_B = REWARD.double() - kl_weight * (log_prob_B - reference_B)
    (log_prob_B.exp() * value_B).sum().backward()
    return {name: p.grad for name, p in parameters.items() if p.grad is not None}


def _policy() -> LanguagePolicy:
    model = tiny(vocabulary=VOCABULARY)
    return LanguagePolicy(model, model, AdapterSpec(kind="full"), "float32", seed=0)


def _batch(rows: Tensor, group_B: Tensor, log_prob_BT: Tensor, reward_B: Tensor) -> Trajectories:
    return Trajectories(
        torch.ones(len(rows), LENGTH, dtype=torch.bool),
        torch.zeros(len(rows), LENGTH),
        group_B,
        log_prob_BT[rows],
        _reference().to(log_prob_BT.dtype)[rows],
        tuple(ACTIONS[row] for row in rows.tolist()),
    ).rewarded(reward_B[rows])


def _drawn(rows: int, group: int, log_prob_BT: Tensor, seed: int) -> Trajectories:
    """As the policy would have sampled them."""
    generator = torch.Generator().manual_seed(seed)
    chance_B = log_prob_BT.sum(1).exp()
    drawn = torch.multinomial(chance_B, rows, replacement=True, generator=generator)
    group_B = torch.arange(rows // group).repeat_interleave(group)
    return _batch(drawn, group_B, log_prob_BT, REWARD.to(log_prob_BT.dtype))


@functools.cache
def _value() -> LearnedValue:
    """A value function on the reference's hidden states that has seen four batches."""
    states = TextStates(tiny(seed=1, vocabulary=VOCABULARY))
    value = LearnedValue(values=LinearValue(states, states.size, rate=0.4, ridge=0.01))
    log_prob_BT = _oracle_log_probs(0)[0].detach()
    errors = []
    for seed in range(4):
        batch = _drawn(400, 4, log_prob_BT, seed)
        errors.append(value.learn(batch, batch.return_B[:, None].expand(-1, LENGTH)))
    assert errors[-1]["value_loss"] < 0.9 * errors[0]["value_loss"]
    return value


EXACT: dict[str, Callable[[float], Objective]] = {
    "whole return": lambda kl: Reinforce(baseline=Constant(), kl=KL(kl)),
    "to go": lambda kl: Reinforce(baseline=Constant(), to_go=True, kl=KL(kl)),
    "whole return, learned value": lambda kl: Reinforce(baseline=_value(), kl=KL(kl)),
    "to go, learned value": lambda kl: Reinforce(baseline=_value(), to_go=True, kl=KL(kl)),
    "PPO, learned value": lambda kl: Ppo(baseline=_value(), kl=KL(kl)),
}
"""Those whose expected gradient is the exact one, at the first update."""


def _expected(objective: Objective) -> dict[str, Tensor]:
    """The ascent direction that the objective gives in expectation: every sequence is taken once and
    weighted by its probability, so that no sampling error is left."""
    log_prob_BT = _oracle_log_probs(0)[0].detach().float()
    chance_B = log_prob_BT.sum(1).exp()
    batch = _batch(torch.arange(len(TEXTS)), torch.arange(len(TEXTS)), log_prob_BT, REWARD)

    class Weighting(Reinforce):
        def credit(self, trajectories: Trajectories) -> Tensor:
            return objective.credit(trajectories) * chance_B[:, None] * len(TEXTS)

    policy = _policy()
    found, row = update_gradients(policy, Weighting(), batch)
    assert row["tokens"] == len(TEXTS) * LENGTH
    assert found.keys() == policy.parameters.keys()
    return {name: -gradient for name, gradient in found.items()}


@pytest.mark.parametrize("kl_weight", [0.0, KL_WEIGHT])
@pytest.mark.parametrize("name", EXACT)
def test_all_625_sequences_give_the_exact_gradient(kl_weight: float, name: str) -> None:
    found, exact = _expected(EXACT[name](kl_weight)), _exact(kl_weight)
    assert exact.keys() == found.keys()
    largest = max(float(gradient.abs().max()) for gradient in exact.values())
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, exact[key].float(), atol=2e-5 * largest, rtol=1e-3)


def test_lambda_below_1_is_biased_by_a_value_that_errs() -> None:
    """Generalised advantages trust the value function with what lambda takes from the returns."""
    exact = _flat(_exact())
    apart = []
    for decay in (1.0, 0.9, 0.5, 0.0):
        found = _flat(_expected(Ppo(baseline=_value(), gae_lambda=decay)))
        apart.append(float((found - exact).norm() / exact.norm()))
        print(f"lambda {decay}: off by {apart[-1]:.3f} of the gradient's length")
    assert apart[0] < 1e-3 and 10 * apart[0] < apart[1] < apart[2] < apart[3]


def _flat(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradients[name].flatten().double() for name in sorted(gradients)])


@pytest.fixture(scope="module")
def slopes() -> tuple[Tensor, Tensor, list[dict[str, Tensor]]]:
    """Log-probabilities (625, 4) in float64, their slopes (16, 625, 4) along random directions of
    the parameters through our own passes, and those directions."""
    policy = _policy()
    policy.trained.model.double()
    generator = torch.Generator().manual_seed(3)
    batch = Trajectories(
        torch.ones(len(TEXTS), LENGTH, dtype=torch.bool),
        *[torch.zeros(len(TEXTS), LENGTH).double()] * 4,
        ACTIONS,
    )
    directions = [
        {
            name: torch.randn(p.shape, generator=generator).double()
            for name, p in policy.parameters.items()
        }
        for _ in range(DIRECTIONS)
    ]

    @torch.no_grad()
    def at(direction: dict[str, Tensor], step: float) -> Tensor:
        for name, parameter in policy.parameters.items():
            parameter.add_(direction[name], alpha=step)
        found = policy.log_probs(batch).double()
        for name, parameter in policy.parameters.items():
            parameter.sub_(direction[name], alpha=step)
        return found

    slope = [(at(d, STEP) - at(d, -STEP)) / (2 * STEP) for d in directions]
    return at(directions[0], 0.0), torch.stack(slope), directions


def _along(gradient: dict[str, Tensor], directions: list[dict[str, Tensor]]) -> Tensor:
    return torch.stack(
        [sum((gradient[name] * d[name]).sum() for name in gradient) for d in directions]
    )


def _estimates(
    objective: Objective, log_prob_BT: Tensor, slope: Tensor, groups: int, seed: int
) -> Tensor:
    """(groups, 16): slopes of the ascent direction that each group of samples gives."""
    batch = _drawn(groups * GROUP, GROUP, log_prob_BT, seed)
    rows = torch.tensor([PLACES[action.tokens] for action in batch.data])
    credit_BT = objective.credit(batch)
    current_BT = log_prob_BT[rows].clone().requires_grad_()
    loss_B = objective.loss(Current(current_BT), credit_BT, batch).loss_B
    (loss_B * objective.has_gradient(batch, credit_BT)).sum().backward()
    assert current_BT.grad is not None
    each = -(current_BT.grad * slope[:, rows]).sum(2) / GROUP
    return each.reshape(DIRECTIONS, groups, GROUP).sum(2).T


UNBIASED: dict[str, Callable[[], Objective]] = {
    "no baseline": lambda: Reinforce(baseline=Constant()),
    "leave-one-out": lambda: Reinforce(),
    "leave-one-out, to go": lambda: Reinforce(to_go=True),
    "leave-one-out, KL": lambda: Reinforce(kl=KL(KL_WEIGHT)),
    "leave-one-out, to go, KL": lambda: Reinforce(to_go=True, kl=KL(KL_WEIGHT)),
    "learned value, to go, KL": lambda: Reinforce(baseline=_value(), to_go=True, kl=KL(KL_WEIGHT)),
    "PPO, first update": lambda: Ppo(kl=KL(KL_WEIGHT)),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased_on_text(
    name: str, slopes: tuple[Tensor, Tensor, list[dict[str, Tensor]]]
) -> None:
    log_prob_BT, slope, directions = slopes
    objective = UNBIASED[name]()
    kl_weight = objective.kl.weight
    exact = _along(_exact(kl_weight), directions)
    for groups in (1_000, 16_000):
        z = z_scores(_estimates(objective, log_prob_BT, slope, groups, groups), exact)
        print(f"{name}, {groups} groups: largest |z| {float(z.abs().max()):.2f}")
        assert len(z) == DIRECTIONS
        assert float(z.abs().max()) < 4.5
    other = _along(_exact(kl_weight + 0.3), directions)
    found = _estimates(objective, log_prob_BT, slope, 16_000, 16_000)
    assert float(z_scores(found, other).abs().max()) > 6


def test_bias_and_variance_on_text(
    slopes: tuple[Tensor, Tensor, list[dict[str, Tensor]]],
) -> None:
    log_prob_BT, slope, directions = slopes
    exact = _along(_exact(), directions)
    found: dict[str, tuple[float, float, float]] = {}
    for name, objective in {
        "none": Reinforce(baseline=Constant()),
        "leave-one-out": Reinforce(),
        "learned value": Reinforce(baseline=_value(), to_go=True),
        "dr_grpo": DrGrpo(),
        "grpo": Grpo(),
        "weighted": Weighted(),
        "rejection_sampling": RejectionSampling(),
        "supervised": Supervised(),
    }.items():
        each = _estimates(objective, log_prob_BT, slope, 16_000, 1)
        mean = each.mean(0)
        direction = float((mean * exact).sum() / mean.norm() / exact.norm())
        length = float((mean * exact).sum() / exact.square().sum())
        found[name] = direction, length, float(each.var(0).sum())
        print(
            f"{name}: direction {direction:.3f}, length {length:.3f}, variance {found[name][2]:.3g}"
        )
    assert found["leave-one-out"][0] > 0.99 and found["leave-one-out"][1] == pytest.approx(
        1, abs=0.05
    )
    assert found["leave-one-out"][2] < 0.8 * found["none"][2]
    assert found["learned value"][0] > 0.99 and found["learned value"][1] == pytest.approx(
        1, abs=0.05
    )
    assert found["learned value"][2] < 0.8 * found["none"][2]
    assert found["dr_grpo"][0] > 0.99 and found["dr_grpo"][1] == pytest.approx(0.75, abs=0.04)
    assert 0.9 < found["grpo"][0] < 1 and found["grpo"][1] < 0.5  # a mean over 4 tokens
    assert 0.8 < found["weighted"][0] < 0.995
    assert 0.8 < found["rejection_sampling"][0] < 0.995
    assert abs(found["supervised"][1]) < 0.1  # without rewards there's nothing to climb
