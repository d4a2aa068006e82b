"""Objectives against exact gradients: every sequence of a tabular policy enumerated."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tabular import (
    PREFIXES,
    SEQUENCES,
    TOKENS,
    TabularPolicy,
    draw,
    states,
    token_log_probs,
    trajectories,
)
from tiny import texts, tiny
from truing.learn import OBJECTIVES
from truing.learn.loop import Settings, update
from truing.learn.objectives.credit import leave_one_out
from truing.learn.objectives.kl import KL
from truing.learn.objectives.objective import Current
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.supervised import Supervised
from truing.learn.sources.demonstrations import Demonstrations, demonstrated
from truing.policies import language
from truing.policies.language import LanguagePolicy, PromptCompletion, pieces
from truing.policies.trajectories import Trajectories, length_mask
from truing.spec.run import AdapterSpec
from truing.types import InputError
from worlds import update_gradients

KL_WEIGHT, GROUP = 0.3, 4
NAN = float("nan")


@dataclass(frozen=True)
class _World:
    logits: Tensor
    reference: Tensor
    rewards: Tensor  # of each sequence, in the order of SEQUENCES

    def reward(self, tokens_BT: Tensor) -> Tensor:
        place = (tokens_BT * torch.tensor([TOKENS**2, TOKENS, 1])).sum(1)
        return self.rewards[place]


@pytest.fixture(scope="module")
def world() -> _World:
    generator = torch.Generator().manual_seed(0)
    logits, reference = 0.7 * torch.randn(2, PREFIXES, TOKENS, generator=generator).double()
    return _World(logits, reference, torch.randn(len(SEQUENCES), generator=generator).double() + 2)


def _exact(world: _World, kl_weight: float) -> Tensor:
    """Gradient of E[reward] - kl_weight KL(policy || reference), by enumeration."""
    logits = world.logits.clone().requires_grad_()
    log_p = token_log_probs(logits, SEQUENCES).sum(1)
    log_reference = token_log_probs(world.reference, SEQUENCES).sum(1)
    p = log_p.exp()
    assert float(p.detach().sum()) == pytest.approx(1)
    (p * world.rewards).sum().sub(kl_weight * (p * (log_p - log_reference)).sum()).backward()
    assert logits.grad is not None
    return logits.grad


def _estimates(
    world: _World, batches: int, seed: int, kl_weight: float, *, baseline: bool = True
) -> Tensor:
    """(batches, states, tokens) ascent directions, each from one group of GROUP samples.

    Every batch has its own copy of the table, so that one backward pass keeps them apart.
    """
    tokens = draw(world.logits, batches * GROUP, torch.Generator().manual_seed(seed))
    group = torch.arange(batches).repeat_interleave(GROUP)
    batch = trajectories(world.logits, world.reference, tokens, world.reward(tokens), group)
    objective = Reinforce(kl=KL(kl_weight))
    credit = objective.credit(batch)
    if not baseline:
        credit = (batch.return_B - kl_weight * batch.kl_B)[:, None] * batch.mask_BT
    tables = world.logits.expand(batches, -1, -1).clone().requires_grad_()
    log_probs = tables.log_softmax(-1)[group[:, None], states(tokens), tokens]
    (objective.loss(Current(log_probs), credit, batch).loss_B.sum() / GROUP).backward()
    assert tables.grad is not None
    return -tables.grad


def _z_scores(estimates: Tensor, exact: Tensor) -> Tensor:
    error = estimates.std(0) / len(estimates) ** 0.5
    return (estimates.mean(0) - exact) / error


@pytest.mark.parametrize("kl_weight", [0.0, KL_WEIGHT])
def test_reinforce_is_unbiased(world: _World, kl_weight: float) -> None:
    exact, n = _exact(world, kl_weight), 4000
    for seed, batches in enumerate((n, 4 * n)):
        z = _z_scores(_estimates(world, batches, seed, kl_weight), exact)
        assert float(z.abs().max()) < 4.5
        assert 0.6 < float(z.pow(2).mean()) < 1.6  # as large as chance makes them, no smaller
    # The same samples aren't taken for another gradient: without the reward, or without the KL.
    wrong = _exact(world, kl_weight + 0.3)
    assert float(_z_scores(_estimates(world, 4 * n, 1, kl_weight), wrong).abs().max()) > 6


def test_the_error_halves_with_four_times_the_batches(world: _World) -> None:
    exact, n, repeats = _exact(world, KL_WEIGHT), 500, 24
    errors = []
    for batches in (n, 4 * n):
        found = _estimates(world, batches * repeats, batches, KL_WEIGHT)
        means = found.reshape(repeats, batches, *exact.shape).mean(1)
        errors.append(float((means - exact).pow(2).mean().sqrt()))
    assert 1.7 < errors[0] / errors[1] < 2.3


def test_the_baseline_keeps_the_mean_and_lowers_the_variance(world: _World) -> None:
    with_baseline = _estimates(world, 8000, 3, KL_WEIGHT)
    without = _estimates(world, 8000, 3, KL_WEIGHT, baseline=False)
    assert float(_z_scores(without, _exact(world, KL_WEIGHT)).abs().max()) < 4.5
    assert float(with_baseline.var(0).sum()) < 0.6 * float(without.var(0).sum())


def test_leave_one_out_by_hand() -> None:
    # Groups needn't be neighbours: 7 holds 1, 3, 8; 2 holds 5 alone; 4 holds 2, 2.
    returns = torch.tensor([1.0, 5.0, 3.0, 2.0, 8.0, 2.0])
    groups = torch.tensor([7, 2, 7, 4, 7, 4])
    found = leave_one_out(returns, groups)
    assert found.tolist() == [1 - 5.5, 0.0, 3 - 4.5, 0.0, 8 - 2.0, 0.0]
    assert leave_one_out(torch.zeros(0), torch.zeros(0).long()).tolist() == []


def test_unscored_gets_no_credit_and_is_nobodys_baseline() -> None:
    returns = torch.tensor([1.0, NAN, 4.0, NAN, 9.0, NAN, NAN])
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    found = leave_one_out(returns, groups)
    assert found.tolist() == [-3.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0]
    mask = length_mask([1, 3, 2, 3, 3, 1, 1])
    log_probs = torch.zeros(mask.shape)
    batch = Trajectories(mask, log_probs, groups, log_probs, log_probs).rewarded(returns)
    credit = Reinforce(kl=KL(0.5)).credit(batch)
    assert torch.equal(credit, found[:, None] * mask)


def test_the_kl_is_taken_from_the_reward(world: _World) -> None:
    tokens = draw(world.logits, 6, torch.Generator().manual_seed(1))
    group = torch.tensor([0, 0, 0, 1, 1, 1])
    batch = trajectories(world.logits, world.reference, tokens, world.reward(tokens), group)
    ratio = token_log_probs(world.logits, tokens) - token_log_probs(world.reference, tokens)
    returns = world.reward(tokens) - KL_WEIGHT * ratio.sum(1)
    expected = leave_one_out(returns, group)
    assert not torch.allclose(expected, leave_one_out(world.reward(tokens), group))
    torch.testing.assert_close(
        Reinforce(kl=KL(KL_WEIGHT)).credit(batch), expected[:, None].expand(-1, 3).contiguous()
    )


def test_update_is_one_step_along_the_gradient(world: _World) -> None:
    tokens = draw(world.logits, 8, torch.Generator().manual_seed(2))
    group = torch.arange(2).repeat_interleave(4)
    batch = trajectories(world.logits, world.reference, tokens, world.reward(tokens), group)
    policy = TabularPolicy(world.logits)
    row = update(
        policy, torch.optim.SGD([policy.logits], 0.5), Reinforce(kl=KL(KL_WEIGHT)), batch, 1e9
    )
    table = world.logits.clone().requires_grad_()
    returns = batch.return_B - KL_WEIGHT * batch.kl_B
    advantage = torch.stack(  # the definition, one by one
        [
            returns[b]
            - torch.stack([returns[o] for o in range(8) if group[o] == group[b] and o != b]).mean()
            for b in range(8)
        ]
    )
    loss = -(advantage * token_log_probs(table, tokens).sum(1)).mean()
    loss.backward()
    assert table.grad is not None
    torch.testing.assert_close(policy.logits.detach(), world.logits - 0.5 * table.grad)
    assert row["loss"] == pytest.approx(float(loss.detach()))
    assert row["gradient_norm"] == pytest.approx(float(table.grad.norm()))
    assert (row["taught"], row["tokens"]) == (8, 24)
    clipped = TabularPolicy(world.logits)
    update(
        clipped, torch.optim.SGD([clipped.logits], 0.5), Reinforce(kl=KL(KL_WEIGHT)), batch, 0.01
    )
    moved = float((clipped.logits.detach() - world.logits).norm())
    assert moved == pytest.approx(0.5 * 0.01, rel=1e-3)


def test_unscored_trajectories_stay_in_the_divisor(world: _World) -> None:
    tokens = draw(world.logits, 4, torch.Generator().manual_seed(3))
    group = torch.zeros(4, dtype=torch.long)
    rewards = world.reward(tokens)
    changes = []
    for keep in (4, 3):
        reward = rewards.clone()
        reward[3] = NAN
        batch = trajectories(world.logits, world.reference, tokens, reward, group)
        policy = TabularPolicy(world.logits)
        optimizer = torch.optim.SGD([policy.logits], 1.0)
        row = update(policy, optimizer, Reinforce(), batch.select(range(keep)), 1e9)
        assert row["taught"] == 3
        changes.append(policy.logits.detach() - world.logits)
    assert float(changes[0].abs().max()) > 0.01
    torch.testing.assert_close(changes[0], changes[1] * 3 / 4)


def test_equal_rewards_change_nothing(world: _World) -> None:
    tokens = draw(world.logits, 8, torch.Generator().manual_seed(4))
    group = torch.arange(2).repeat_interleave(4)
    batch = trajectories(world.logits, world.reference, tokens, torch.full((8,), 3.0), group)
    policy = TabularPolicy(world.logits)
    optimizer = torch.optim.AdamW([policy.logits], 0.1, weight_decay=0.0)
    optimizer.zero_grad()
    policy.logits.sum().backward()
    optimizer.step()  # moments that would move the parameters even at gradient 0
    before = policy.logits.detach().clone()
    row = update(policy, optimizer, Reinforce(), batch, 1.0)
    assert torch.equal(policy.logits, before)
    assert row == {
        "loss": 0.0,
        "gradient_norm": 0.0,
        "taught": 0,
        "idle_groups": 2,
        "tokens": 0,
    }


@pytest.mark.parametrize("bad", [float("inf"), NAN])
def test_a_gradient_that_is_not_finite_raises_and_touches_nothing(
    world: _World, bad: float
) -> None:
    tokens = draw(world.logits, 4, torch.Generator().manual_seed(5))
    batch = trajectories(
        world.logits, world.reference, tokens, world.reward(tokens), torch.zeros(4).long()
    )
    policy = TabularPolicy(world.logits)
    policy.logits.register_hook(lambda gradient: gradient * bad)
    optimizer = torch.optim.AdamW([policy.logits], 0.1)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        update(policy, optimizer, Reinforce(), batch, 1.0)
    assert torch.equal(policy.logits, world.logits)
    assert not optimizer.state


def _actions() -> list[PromptCompletion]:
    one, two, three, *answers = texts(1, [4, 6, 3, 5, 1, 3, 2, 7, 4])
    prompts = [one, one, two, two, two, three]
    return [PromptCompletion(tuple(p), tuple(a)) for p, a in zip(prompts, answers, strict=True)]


def _text_gradients(
    objective: Reinforce | Supervised, batch: Trajectories, adapter: AdapterSpec
) -> dict[str, Tensor]:
    model = tiny()
    policy = LanguagePolicy(model, model, adapter, "float32", seed=1)
    with torch.no_grad():  # an adapter starts where half of its gradient is 0
        for name, parameter in policy.parameters.items():
            if "lora_B" in name:
                parameter.fill_(0.02)
    return update_gradients(policy, objective, batch)[0]


def _assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and len(one) > 4
    assert max(float(gradient.abs().max()) for gradient in one.values()) > 1e-3
    largest = max(1.0, max(float(gradient.abs().max()) for gradient in one.values()))
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], atol=1e-6 * largest, rtol=1e-5)


class _NoBaseline(Reinforce):
    def credit(self, trajectories: Trajectories) -> Tensor:
        return trajectories.return_B[:, None] * trajectories.mask_BT


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_sft_is_reinforce_with_reward_1_and_no_baseline(kind: str) -> None:
    batch, adapter = demonstrated(_actions()), AdapterSpec(kind=kind, rank=4)
    assert torch.equal(Supervised().credit(batch), batch.mask_BT.float())
    _assert_same(
        _text_gradients(Supervised(), batch, adapter),
        _text_gradients(_NoBaseline(), batch, adapter),
    )


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_one_large_piece_and_many_small_ones_give_the_same_gradient(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions, adapter = _actions(), AdapterSpec(kind=kind, rank=4)
    batch = demonstrated(actions).rewarded(torch.tensor([0.5, -1.0, 2.0, 0.1, NAN, 1.0]))
    assert len(list(pieces(actions))) == 1
    whole = _text_gradients(Reinforce(), batch, adapter)
    for size in (1, 14):
        cut = list(pieces(actions, size))
        assert len(cut) > 1
        monkeypatch.setattr(language, "pieces", lambda data, size=size: pieces(data, size))
        _assert_same(whole, _text_gradients(Reinforce(), batch, adapter))


def test_pieces_cover_every_trajectory_once() -> None:
    actions = _actions()
    for size in range(1, 60, 4):
        cut = list(pieces(actions, size))
        assert [place for piece in cut for place in piece] == list(range(len(actions)))
        for piece in cut:
            held = [actions[place] for place in piece]
            tokens = sum(len(p) for p in {a.prompt for a in held}) + sum(
                len(a.tokens) for a in held
            )
            first, alike = held[0], len({a.prompt for a in held}) == 1
            allowed = max(size, 2 * len(first.prompt + first.tokens)) if alike else size
            assert tokens <= allowed or len(piece) == 1
    assert list(pieces([])) == []


def test_a_long_prompt_is_not_computed_for_each_of_its_answers() -> None:
    prompt, other = tuple(range(100)), tuple(range(100, 150))
    answers = [PromptCompletion(prompt, (7,) * 20) for _ in range(8)]
    assert list(pieces(answers, 60)) == [range(7), range(7, 8)]
    # Where nothing is shared, nothing is saved: the pass stays small.
    assert list(pieces([answers[0], PromptCompletion(other, (7,) * 20)], 60)) == [
        range(1),
        range(1, 2),
    ]


def test_demonstrations_go_through_every_one_once_an_epoch() -> None:
    actions = _actions()
    source = Demonstrations(actions, batch_size=4, seed=3)
    assert source.steps_per_epoch == 2
    orders = []
    for epoch in range(1, 4):
        seen: list[PromptCompletion] = []
        for step in (2 * epoch - 1, 2 * epoch):
            batch, row = source.batch(step)
            assert row == {"epoch": epoch}
            assert len(batch) == (4 if step % 2 else 2)
            assert batch.mask_BT.sum(1).tolist() == [len(a.tokens) for a in batch.data]
            seen += batch.data
        assert sorted(seen, key=hash) == sorted(actions, key=hash)
        orders.append(seen)
    assert orders[0] != orders[1] or orders[1] != orders[2]
    assert list(source.batch(3)[0].data) == orders[1][:4]  # a function of the step
    with pytest.raises(InputError, match="no demonstrations"):
        Demonstrations([], 4, 0)
    with pytest.raises(InputError, match="demonstration 1 has no token"):
        Demonstrations([actions[0], PromptCompletion((1,), ())], 4, 0)


def test_the_rate_rises_then_falls() -> None:
    falling = [Settings(6, 0.4, 1.0, warmup=2).rate(step) for step in range(1, 7)]
    assert falling == pytest.approx([0.4 / 3, 0.8 / 3, 0.4, 0.3, 0.2, 0.1])
    level = [Settings(6, 0.4, 1.0, warmup=2, decay=False).rate(step) for step in range(1, 7)]
    assert level == pytest.approx([0.4 / 3, 0.8 / 3, 0.4, 0.4, 0.4, 0.4])


def test_objectives_are_known_by_name() -> None:
    assert list(OBJECTIVES) == [
        "supervised",
        "distillation",
        "reinforce",
        "grpo",
        "dr_grpo",
        "ppo",
        "weighted",
        "rejection_sampling",
        "dpo",
        "dpo_norm",
        "ipo",
        "kto",
        "orpo",
        "simpo",
    ]
