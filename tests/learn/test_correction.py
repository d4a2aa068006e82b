"""Samples of another policy than the one that learns: their gradient against the exact one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gradient_table import z_scores
from tiny import plain, texts, tiny, tokenizer
from training_worker import TableApart, made
from truing.learn import Grpo, Ppo, Reinforce
from truing.learn.checkpoint import Checkpoint
from truing.learn.correction import (
    LARGEST_SEQUENCE_RATIO,
    LARGEST_TOKEN_RATIO,
    corrected,
    learner_log_probs,
    reweighted,
)
from truing.learn.loop import Settings, train
from truing.learn.objectives.kl import KL
from truing.learn.sources.rollout import rollout
from truing.learn.update import update
from truing.models import precision
from truing.models.language_model import LanguageModel
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.policies.trajectories import Trajectories
from truing.runs.ranks import Ranks
from truing.spec.run import AdapterSpec, Correction, RlSpec
from worlds import (
    TablePolicy,
    World,
    biased_sampler,
    choices,
    estimates,
    sequences,
    slippery_grid,
    update_gradients,
)

WORLDS = {"grid": slippery_grid(), "text": sequences(), "choices": choices()}
GROUPS = 16_000
EXACT = [("choices", "token"), *((name, "sequence") for name in WORLDS)]
"""Where a correction leaves no bias: token ratios do where a trajectory is one action."""


def _z(world: World, correction: Correction, kl: float = 0.0) -> Tensor:
    exact = world.gradient(world.reward_NT.sum(1)) - kl * world.kl_gradient()
    objective, sampler = Reinforce(kl=KL(kl)), biased_sampler(world)
    found = estimates(world, objective, GROUPS, 2, sampler=sampler, correction=correction)
    return z_scores(found, exact)


@pytest.mark.parametrize("world", WORLDS.values(), ids=list(WORLDS))
def test_the_bias_is_within_the_reach_of_both_bounds(world: World) -> None:
    log_ratio_NT = world.log_probs(world.logits) - world.log_probs(biased_sampler(world))
    assert 1.2 < float(log_ratio_NT.exp().max()) < LARGEST_TOKEN_RATIO
    assert 1.2 < float(log_ratio_NT.sum(1).exp().max()) < LARGEST_SEQUENCE_RATIO


@pytest.mark.parametrize("kl", [0.0, 0.3])
@pytest.mark.parametrize(("name", "correction"), EXACT)
def test_corrected_samples_of_a_biased_sampler_have_the_exact_gradient(
    name: str, correction: Correction, kl: float
) -> None:
    z, uncorrected = _z(WORLDS[name], correction, kl), _z(WORLDS[name], "none", kl)
    print(
        f"largest |z| {float(z.abs().max()):.2f}, uncorrected {float(uncorrected.abs().max()):.1f}"
    )
    assert len(z) >= 20 and float(z.abs().max()) < 3
    assert float(uncorrected.abs().max()) > 8


@pytest.mark.parametrize("name", ["grid", "text"])
def test_token_ratios_take_some_of_the_bias_of_several_actions(name: str) -> None:
    without, token = (float(_z(WORLDS[name], how).square().mean()) for how in ("none", "token"))
    assert 2 < token < 0.8 * without


@pytest.mark.parametrize("correction", ["token", "sequence"])
@pytest.mark.parametrize("objective", [Reinforce(), Ppo(), Grpo(kl=KL(0.1, "k3", "loss"))])
def test_an_update_has_the_gradient_of_weighted_losses(
    objective: Reinforce | Ppo | Grpo, correction: Correction
) -> None:
    """Through the update and its pieces, against the loss written out."""
    world = WORLDS["text"]
    batch = world.draw(6, 4, 3, biased_sampler(world))
    learner_BT = TablePolicy(world.logits).log_probs(batch).detach()
    ratio_BT = (learner_BT - batch.log_prob_BT).exp()
    weight_BT = ratio_BT if correction == "token" else ratio_BT.prod(1, keepdim=True)
    table = TablePolicy(world.logits)
    now_BT = table.log_probs(batch)
    own = replace(batch, log_prob_BT=learner_BT)
    # Ratios of PPO are 1 at the first update, and so its loss has the gradient of this one.
    loss_BT = -objective.credit(own) * now_BT
    if objective.kl.is_in_loss:
        loss_BT = loss_BT + 0.1 * objective.kl.of(now_BT, batch.reference_log_prob_BT)
    (weight_BT * objective.weight(own) * loss_BT * batch.mask_BT).sum().div(len(batch)).backward()
    found, row = corrected(TableApart(world.logits), batch, correction, Ranks())
    gradients, learned = update_gradients(TableApart(world.logits, piece=5), objective, found)
    assert table.logits.grad is not None and float(table.logits.grad.norm()) > 0.05
    torch.testing.assert_close(gradients["logits"], table.logits.grad, atol=1e-12, rtol=0)
    assert learned.get("update_kl", 0) == pytest.approx(0, abs=1e-12)  # since the learner saw it
    assert torch.equal(found.log_prob_BT, learner_BT) and row["sampler_kl"] > 0


def _of_ratios(ratios: list[list[float]]) -> tuple[Trajectories, Tensor]:
    """Trajectories that the learner gives other probabilities than the sampler, and its own."""
    longest = max(map(len, ratios))
    mask = torch.tensor([[t < len(row) for t in range(longest)] for row in ratios])
    sampler = torch.full(mask.shape, -1.0).double() * mask
    padded = [[*row, *[1.0] * (longest - len(row))] for row in ratios]
    learner = sampler + torch.tensor(padded, dtype=torch.float64).log()
    nothing = torch.zeros(mask.shape).double()
    return Trajectories(mask, nothing, torch.arange(len(ratios)), sampler, nothing), learner


def test_weights_and_figures_by_hand() -> None:
    batch, learner_BT = _of_ratios([[4.0, 0.5], [1.5], [2.0, 1.6]])
    ratios = [4.0, 0.5, 1.5, 2.0, 1.6]
    found, row = reweighted(batch, learner_BT, "token")
    assert found.correction_BT is not None
    expected = [[2.0, 0.5], [1.5, 0.0], [2.0, 1.6]]
    torch.testing.assert_close(found.correction_BT, torch.tensor(expected).double())
    weights = [2.0, 0.5, 1.5, 2.0, 1.6]
    kl = sum(r - 1 - math.log(r) for r in ratios) / 5
    assert row == pytest.approx(
        {
            "importance_ratio": sum(ratios) / 5,
            "sampler_kl": kl,
            "effective_sample_size": sum(weights) ** 2 / (5 * sum(w * w for w in weights)),
            "truncated_fraction": 1 / 5,
        }
    )
    found, row = reweighted(batch, learner_BT, "sequence")
    assert found.correction_BT is not None
    expected = [[2.0, 2.0], [1.5, 0.0], [0.0, 0.0]]
    torch.testing.assert_close(found.correction_BT, torch.tensor(expected).double())
    assert row == pytest.approx(
        {
            "importance_ratio": (2.0 + 1.5 + 3.2) / 3,
            "sampler_kl": kl,
            "effective_sample_size": 3.5**2 / (3 * (4 + 2.25)),
            "masked_fraction": 1 / 3,
        }
    )


def test_ratios_beyond_all_numbers_stay_finite() -> None:
    batch, learner_BT = _of_ratios([[1e300, 1e300], [1e-300, 1.0]])
    for correction in ("token", "sequence"):
        found, row = reweighted(batch, learner_BT, correction)
        assert found.correction_BT is not None and found.correction_BT.isfinite().all()
        assert all(math.isfinite(value) for value in row.values())
    _, row = reweighted(*_of_ratios([[9.0]]), "sequence")
    assert (row["effective_sample_size"], row["masked_fraction"]) == (0.0, 1.0)


def test_masked_trajectories_cost_no_pass_and_stay_in_the_divisor() -> None:
    world = WORLDS["text"]
    batch = world.draw(2, 4, 0, world.logits)
    weight_BT = batch.mask_BT.double()
    weight_BT[:3] = 0
    seen: list[int] = []

    class Watched(TablePolicy):
        def log_probs(self, trajectories: Trajectories) -> Tensor:
            seen.append(len(trajectories))
            return super().log_probs(trajectories)

    objective = Reinforce(baseline=Reinforce().baseline)
    policy = Watched(world.logits)
    masked = replace(batch, correction_BT=weight_BT)
    row = update(policy, torch.optim.SGD([policy.logits], 1.0), objective, masked, 1e9)
    assert seen == [5] and row["taught"] == 5 and row["idle_groups"] == 0
    moved = policy.logits.detach() - world.logits
    table = TablePolicy(world.logits)
    credit_BT = objective.credit(batch)
    (-(credit_BT * table.log_probs(batch))[3:].sum() / 8).backward()
    assert table.logits.grad is not None
    torch.testing.assert_close(moved, -table.logits.grad, atol=1e-12, rtol=0)


def test_where_sampler_and_learner_agree_nothing_is_computed_again() -> None:
    world = WORLDS["grid"]
    batch = world.draw(2, 4, 0, world.logits)

    class Alike(TablePolicy):
        sampler_differs = False

        def log_probs(self, trajectories: Trajectories) -> Tensor:
            raise AssertionError

    for policy, correction in (
        (Alike(world.logits), "token"),
        (TablePolicy(world.logits), "sequence"),  # a policy that says nothing of its sampler
        (TableApart(world.logits), "none"),
    ):
        found, row = corrected(policy, batch, correction, Ranks())
        assert found is batch and row == {}
    assert RlSpec().correction == "token"


def test_a_float32_training_is_the_same_to_the_bit(tmp_path: Path) -> None:
    """The correction that a spec has by default changes no parameter and no line of the log."""
    ended = []
    for correction in ("token", "none"):
        policy, source, objective, settings = made("text-rl")
        folder = tmp_path / correction
        checkpoint = Checkpoint(folder, folder / "log.jsonl")
        train(policy, source, objective, replace(settings, correction=correction), checkpoint)
        ended.append(({n: p.detach() for n, p in policy.parameters.items()}, checkpoint.log))
    (one, log), (other, other_log) = ended
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert (
        log.read_bytes() == other_log.read_bytes() and b"importance_ratio" not in log.read_bytes()
    )


def test_the_figures_stand_in_the_log(tmp_path: Path) -> None:
    policy, source, objective, _ = made("grid-corrected")
    checkpoint = Checkpoint(tmp_path, tmp_path / "log.jsonl")
    train(policy, source, objective, Settings(2, 0.1, 1.0, correction="token"), checkpoint)
    for row in checkpoint.rows:
        assert 0.9 < row["importance_ratio"] < 1.1 and 0 < row["sampler_kl"] < 0.1
        assert 0.8 < row["effective_sample_size"] < 1 and row["truncated_fraction"] == 0


# --- Language models --------------------------------------------------------------------------

ADAPTERS = [AdapterSpec(kind="lora", rank=4, alpha=6.0), AdapterSpec(kind="full")]


@contextmanager
def _bfloat16(fast: bool = True) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "has_fast_bfloat16", lambda: fast)
        yield


def _language_policy(dtype: str, adapter: AdapterSpec, family: str = "llama") -> LanguagePolicy:
    weights = plain(family)
    if adapter.kind == "lora" and precision.computed_in(dtype) == "bfloat16":  # type: ignore[arg-type]
        weights = weights.bfloat16()  # as a run loads them
    model = LanguageModel(weights, tokenizer())
    policy = LanguagePolicy(model, model, adapter, dtype, seed=2)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters.values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return policy


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "full"])
def test_bfloat16_learns_from_the_log_probs_of_its_own_pass(
    adapter: AdapterSpec, family: str
) -> None:
    with _bfloat16():
        policy = _language_policy("bfloat16", adapter, family)
        assert policy.sampler_differs
        prompts = texts(5, [4, 6])
        batch = rollout(policy, prompts, 3, Sampling(9, 1.0, seed=4)).trajectories
        learner_BT = learner_log_probs(policy, batch, Ranks())
        live_BT = policy.log_probs(batch)
        found, row = corrected(policy, batch, "token", Ranks())
    assert live_BT.requires_grad and not learner_BT.requires_grad
    assert torch.equal(learner_BT, live_BT.detach())  # one piece: the very pass that learns
    apart = (batch.log_prob_BT - learner_BT)[batch.mask_BT].abs()
    assert 1e-4 < float(apart.mean()) < 0.1
    assert torch.equal(found.log_prob_BT, learner_BT) and row["effective_sample_size"] > 0.9


def test_nothing_is_kept_for_a_gradient() -> None:
    policy = _language_policy("float32", ADAPTERS[0])
    batch = rollout(policy, texts(5, [4, 6]), 3, Sampling(9, 1.0, seed=4)).trajectories
    graphs: list[Tensor] = []

    class Watched(TableApart):
        parameters = policy.parameters
        pieces = staticmethod(policy.pieces)

        def log_probs(self, trajectories: Trajectories) -> Tensor:
            graphs.append(policy.log_probs(trajectories))
            return graphs[-1]

    learner_log_probs(Watched(torch.zeros(1, 1)), batch, Ranks())
    with pytest.raises(RuntimeError, match="kept nothing for a gradient"):
        graphs[0].sum().backward()  # what it would need isn't there
    policy.log_probs(batch).sum().backward()  # elsewhere it is


@pytest.mark.parametrize("adapter", ADAPTERS, ids=["lora", "full"])
def test_float32_agrees_and_is_taken_for_it(adapter: AdapterSpec) -> None:
    policy = _language_policy("float32", adapter)
    batch = rollout(policy, texts(5, [4, 6]), 3, Sampling(9, 1.0, seed=4)).trajectories
    torch.testing.assert_close(
        learner_log_probs(policy, batch, Ranks()), batch.log_prob_BT, atol=1e-5, rtol=0
    )
    assert not policy.sampler_differs
    with _bfloat16(fast=False):  # what stands in for bfloat16 there is float32
        assert not _language_policy("bfloat16", adapter).sampler_differs


def test_frozen_weights_in_bfloat16_are_a_difference() -> None:
    model = tiny()
    model.model.bfloat16()
    assert LanguagePolicy(model, model, ADAPTERS[0], "float32", seed=0).sampler_differs
