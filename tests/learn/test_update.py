"""What one batch does to a policy: pieces, passes, figures of the whole, and what is refused."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from paths import DOCS
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
from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow, Settings, UpdateSchedule, train, update
from truing.learn.objectives.baselines import Constant, LearnedValue, LeaveOneOut, MovingAverage
from truing.learn.objectives.credit import gae, group_deviation, minus_group_mean, return_to_go
from truing.learn.objectives.kl import KL, kl_estimate
from truing.learn.objectives.values import TabularValue
from truing.learn.update_schedule import ONE_UPDATE
from truing.policies.trajectories import Trajectories, length_mask
from truing.types import InputError
from worlds import TablePolicy, World, sequences, slippery_grid

NAN = float("nan")
WORLD = slippery_grid()
ALL: dict[str, Objective] = {
    "supervised": Supervised(),
    "reinforce": Reinforce(kl=KL(0.1)),
    "reinforce, k2 in the loss, entropy": Reinforce(kl=KL(0.1, "k2", "loss"), entropy_weight=0.05),
    "grpo": Grpo(kl=KL(0.04, "k3", "loss")),
    "dr_grpo": DrGrpo(),
    "ppo": Ppo(entropy_weight=0.05),
    "weighted": Weighted(),
    "rejection_sampling": RejectionSampling(),
}


def _batch(seed: int = 0, groups: int = 6, world: World = WORLD) -> Trajectories:
    return world.draw(groups, 4, seed, world.logits)


def _learn(
    objective: Objective, batch: Trajectories, schedule: UpdateSchedule, piece: int = 1 << 30
) -> tuple[Tensor, LogRow]:
    policy = TablePolicy(WORLD.logits, piece)
    optimizer = torch.optim.SGD([policy.logits], 0.5)
    row = update(policy, optimizer, objective, batch, 1e9, schedule)
    return policy.logits.detach(), row


ONCE, OFTEN = UpdateSchedule(), UpdateSchedule(2, 3)


@pytest.mark.parametrize(
    ("name", "schedule"),
    [*((n, ONCE) for n in ALL), *((n, OFTEN) for n in ALL if ALL[n].off_policy)],
)
def test_pieces_change_neither_the_update_nor_its_figures(
    name: str, schedule: UpdateSchedule
) -> None:
    objective, batch = ALL[name], _batch()
    whole, row = _learn(objective, batch, schedule)
    assert float((whole - WORLD.logits).abs().max()) > 1e-3
    for piece in (1, 5):
        found, figures = _learn(objective, batch, schedule, piece)
        torch.testing.assert_close(found, whole, atol=1e-12, rtol=0)
        assert figures.keys() == row.keys()
        for key, value in row.items():
            assert figures[key] == pytest.approx(value, abs=1e-12), key


def test_minibatches_share_the_batch_out() -> None:
    batch = _batch(1)
    seen: list[int] = []
    for rows in UpdateSchedule(1, 5, seed=3).split(24, step=2, epoch=0):
        assert rows == sorted(rows) and len(rows) in (4, 5)
        seen += rows
    assert sorted(seen) == list(range(24))
    splits = [
        UpdateSchedule(2, 5, seed=3).split(24, step, epoch) for step in (1, 2) for epoch in (0, 1)
    ]
    assert all(splits[i] != splits[j] for i in range(4) for j in range(i))
    assert UpdateSchedule(1, 5).split(2, 1, 0) in ([[0], [1]], [[1], [0]])
    # With a step too small to move the policy, two minibatches add up to twice the whole batch.
    policy = TablePolicy(WORLD.logits)
    update(policy, torch.optim.SGD([policy.logits], 1e-9), Supervised(), batch, 1e9)
    halves = TablePolicy(WORLD.logits)
    update(
        halves,
        torch.optim.SGD([halves.logits], 1e-9),
        Supervised(),
        batch,
        1e9,
        UpdateSchedule(1, 2),
    )
    moved, twice = (p.logits.detach() - WORLD.logits for p in (policy, halves))
    torch.testing.assert_close(twice, 2 * moved, atol=1e-15, rtol=1e-3)


def test_the_figures_are_those_of_the_whole_batch() -> None:
    objective = Ppo(baseline=Constant(), clip=0.1, entropy_weight=0.01)
    batch = _batch(2)
    policy = TablePolicy(
        WORLD.logits + 0.3 * torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    )
    start = policy.logits.detach().clone()
    policy.piece = 3
    row = update(policy, torch.optim.SGD([policy.logits], 0.0), objective, batch, 1e9)
    table = start.clone().requires_grad_()
    credit = objective.credit(batch)
    log_ratio, clipped, loss = 0.0, 0, torch.zeros(()).double()
    entropy, actions = 0.0, 0
    for b in range(len(batch)):
        for t in range(int(batch.mask_BT[b].sum())):
            state, action = batch.data[b, t].tolist()
            log_probs = table[state].log_softmax(-1)
            log = log_probs[action] - batch.log_prob_BT[b, t]
            ratio, a = log.exp(), float(credit[b, t])
            bounded = min(max(float(ratio.detach()), 0.9), 1.1) * a
            entropy_here = -(log_probs.exp() * log_probs).sum()
            surrogate = ratio * a if float(ratio.detach()) * a <= bounded else torch.tensor(bounded)
            loss = loss - surrogate - 0.01 * entropy_here
            clipped += bounded < float(ratio.detach()) * a
            log_ratio += math.exp(float(log.detach())) - 1 - float(log.detach())
            entropy += float(entropy_here.detach())
            actions += 1
    (loss / len(batch)).backward()
    assert table.grad is not None
    assert credit.ne(0).any() and 0 < clipped < actions == row["tokens"]
    assert row["clip_fraction"] == pytest.approx(clipped / actions)
    assert row["update_kl"] == pytest.approx(log_ratio / actions)
    assert row["entropy"] == pytest.approx(entropy / actions)
    assert row["loss"] == pytest.approx(float(loss.detach()) / len(batch))
    assert row["gradient_norm"] == pytest.approx(float(table.grad.norm()))


def test_no_further_epoch_once_the_policy_has_moved_far() -> None:
    batch = _batch(3)
    far, row = _learn(Ppo(), batch, UpdateSchedule(6))
    near, stopped = _learn(Ppo(), batch, UpdateSchedule(6, max_update_kl=1e-5))
    assert row["epochs"] == 6 and stopped["epochs"] == 2  # the first epoch sees no change yet
    assert float((near - WORLD.logits).norm()) < float((far - WORLD.logits).norm())
    assert row["tokens"] == 3 * stopped["tokens"]


def test_groups_whose_returns_are_equal_cost_no_pass() -> None:
    batch = _batch(4)
    equal_B = (batch.group_B % 3).ne(0)  # 4 of the 6 groups
    reward = torch.where(equal_B, torch.full((24,), 0.1).double(), torch.rand(24).double())
    reward[21] = NAN
    batch = batch.rewarded(reward)
    for objective in (Reinforce(), Grpo(), DrGrpo(), Weighted(), RejectionSampling(), Ppo()):
        passed: list[int] = []
        policy = TablePolicy(WORLD.logits)
        evaluate = policy.log_probs
        policy.log_probs = lambda part, evaluate=evaluate, passed=passed: (  # type: ignore[method-assign]
            passed.append(len(part)) or evaluate(part)
        )
        row = update(policy, torch.optim.SGD([policy.logits], 0.1), objective, batch, 1e9)
        assert row["idle_groups"] == 4
        assert sum(passed) == row["taught"] <= 8
        assert row["taught"] == (2 if isinstance(objective, RejectionSampling) else 8)


def test_kl_or_entropy_in_the_loss_needs_every_scored_trajectory() -> None:
    batch = _batch(5)
    reward = torch.ones(24).double()
    reward[3] = NAN
    batch = batch.rewarded(reward)
    for objective in (Reinforce(kl=KL(0.1, "k2", "loss")), Ppo(entropy_weight=0.1)):
        _, row = _learn(objective, batch, UpdateSchedule())
        assert (row["taught"], row["idle_groups"]) == (23, 0)


@pytest.mark.parametrize("name", [n for n in ALL if n != "supervised"])
def test_unscored_trajectories_teach_nothing(name: str) -> None:
    objective, batch = ALL[name], _batch(6)
    reward_BT = batch.reward_BT.clone()
    reward_BT[5, 0] = NAN  # anywhere in the row
    reward_BT[[8, 9, 10, 11]] = NAN  # a whole group
    holed = replace(batch, reward_BT=reward_BT)
    credit = objective.credit(holed)
    assert credit.isfinite().all()
    assert credit[[5, 8, 9, 10, 11]].eq(0).all()
    found, row = _learn(objective, holed, UpdateSchedule())
    assert found.isfinite().all() and row["idle_groups"] >= 1
    # As if the unscored one had never been there, but for the divisor.
    kept = [b for b in range(24) if b not in (5, 8, 9, 10, 11)]
    other, _ = _learn(objective, holed.select(kept), UpdateSchedule())
    torch.testing.assert_close((found - WORLD.logits) * 24, (other - WORLD.logits) * len(kept))


def test_group_credit_by_hand() -> None:
    mask = length_mask([1, 2, 2, 1, 2])
    zeros = torch.zeros(mask.shape)
    group = torch.tensor([0, 0, 0, 1, 1])
    batch = Trajectories(mask, zeros, group, zeros, zeros).rewarded(
        torch.tensor([1.0, 2.0, 6.0, 4.0, 4.0])
    )
    deviation = math.sqrt((2**2 + 1**2 + 3**2) / 2)
    wanted = torch.tensor([-2.0, -1.0, 3.0, 0.0, 0.0])
    torch.testing.assert_close(DrGrpo().credit(batch), wanted[:, None] * mask)
    torch.testing.assert_close(Grpo().credit(batch), (wanted / (deviation + 1e-4))[:, None] * mask)
    assert Grpo().weight(batch).tolist() == [[1, 0], [0.5, 0.5], [0.5, 0.5], [1, 0], [0.5, 0.5]]
    assert RejectionSampling().credit(batch)[:, 0].tolist() == [0, 0, 1, 0, 0]
    raised = [math.exp(value / 2) for value in (1, 2, 6)]
    shares = [3 * value / sum(raised) for value in raised]
    found = Weighted(temperature=2.0).credit(batch)[:, 0]
    assert found.tolist() == pytest.approx([*shares, 0, 0], rel=1e-5)
    ties = batch.rewarded(torch.tensor([6.0, 2.0, 6.0, NAN, 4.0]))
    assert RejectionSampling().credit(ties)[:, 0].tolist() == [0.5, 0, 0.5, 0, 0]


def test_equal_numbers_that_round_have_no_credit() -> None:
    value = torch.full((7,), 0.1)
    group = torch.zeros(7, dtype=torch.long)
    assert float(value.sum() / 7 - value[0]) != 0  # what comparing with the mean would say
    assert minus_group_mean(value, group).eq(0).all()
    assert group_deviation(value, group).eq(0).all()


def test_returns_and_generalised_advantages_by_hand() -> None:
    reward = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.5, 3.0, 0.0, 0.0]])
    mask = length_mask([4, 2])
    value = torch.tensor([[0.3, -1.0, 0.7, 2.0], [1.5, 0.2, 9.0, 9.0]])  # 9: behind the end
    g, decay = 0.9, 0.8
    assert return_to_go(reward, 0.5)[0].tolist() == [1.5, 1.0, 2.0, 0.0]
    assert return_to_go(torch.zeros(2, 0)).shape == (2, 0)
    for b, length in enumerate((4, 2)):
        ahead = [*value[b, :length].tolist(), 0.0]
        delta = [float(reward[b, t]) + g * ahead[t + 1] - ahead[t] for t in range(length)]
        wanted = [
            sum((g * decay) ** (u - t) * delta[u] for u in range(t, length)) for t in range(length)
        ]
        found = gae(reward, value, mask, g, decay)[b]
        assert found.tolist() == pytest.approx([*wanted, *[0.0] * (4 - length)], abs=1e-6)
    lambda_one = gae(reward, value, mask, g, 1.0)
    torch.testing.assert_close(lambda_one, (return_to_go(reward, g) - value) * mask)


def test_the_kl_estimators_by_hand() -> None:
    now, reference = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -0.5])
    k1, k2, k3 = (kl_estimate(now, reference, k) for k in ("k1", "k2", "k3"))
    assert k1.tolist() == [0.5, -1.5]
    assert k2.tolist() == pytest.approx([0.125, 1.125])
    assert k3.tolist() == pytest.approx([math.exp(-0.5) - 1 + 0.5, math.exp(1.5) - 1 - 1.5])
    world = sequences()
    p = world.probabilities(world.logits)
    log_p, log_r = (world.log_probs(t).sum(1) for t in (world.logits, world.reference))
    exact = float((p * (log_p - log_r)).sum())
    assert float((p * kl_estimate(log_p, log_r, "k1")).sum()) == pytest.approx(exact)
    assert float((p * kl_estimate(log_p, log_r, "k3")).sum()) == pytest.approx(exact)
    assert abs(float((p * kl_estimate(log_p, log_r, "k2")).sum()) - exact) > 0.05


def test_baselines_learn_from_earlier_batches_only() -> None:
    average = MovingAverage(rate=0.25)
    objective, means = Reinforce(baseline=average), []
    for step in range(4):
        batch = _batch(10 + step)
        before = average.value
        credit = objective.credit(batch)
        wanted = (batch.return_B - before)[:, None] * batch.mask_BT
        torch.testing.assert_close(credit, wanted)
        means.append(float(batch.return_B[:, None].expand(-1, 4)[batch.mask_BT].mean()))
        assert objective.learn(batch) == {"baseline": average.value}
    weights = [0.75 ** (3 - n) for n in range(4)]
    wanted_mean = sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights)
    assert average.value == pytest.approx(wanted_mean)
    unscored = replace(batch, reward_BT=torch.full_like(batch.reward_BT, NAN))
    objective.learn(unscored)
    assert average.value == pytest.approx(wanted_mean)


def test_the_learned_value_finds_the_value_of_each_state() -> None:
    """From the return-to-go of all trajectories, each weighted by its probability (many draws)."""
    value = TabularValue(6, lambda t: t.data[..., 0], rate=1.0)
    objective = Reinforce(baseline=LearnedValue(values=value), to_go=True)
    batch = WORLD.draw(10_000, 4, 0, WORLD.logits)
    logged = objective.learn(batch)
    to_go = return_to_go(batch.reward_BT)
    for state in range(5):
        here = (batch.data[..., 0] == state) & batch.mask_BT
        assert float(value.table[state]) == pytest.approx(float(to_go[here].mean()))
    assert float(value.table[5]) == 0  # the star: nobody acts there
    assert logged["value_loss"] == pytest.approx(float(to_go[batch.mask_BT].square().mean()))
    assert objective.learn(batch)["value_loss"] < logged["value_loss"]
    unscored = replace(batch, reward_BT=torch.full_like(batch.reward_BT, NAN)).select(range(8))
    assert objective.learn(unscored) == {}


def test_fused_steps_can_be_seen_by_who_keeps_copies() -> None:
    policy = TablePolicy(WORLD.logits)
    before = policy.logits._version
    update(policy, torch.optim.AdamW([policy.logits], 0.1, fused=True), Reinforce(), _batch(), 1.0)
    assert policy.logits._version > before


# What is refused


class _Never:
    """A source that must not be asked."""

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        raise AssertionError("time was spent")


class _Once:
    def __init__(self, batch: Trajectories) -> None:
        self.trajectories = batch

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        return self.trajectories, {}


class _NoEntropies:
    """A policy that gives log-probabilities only."""

    def __init__(self) -> None:
        inner = TablePolicy(WORLD.logits)
        self.log_probs, self.pieces = inner.log_probs, inner.pieces
        self.parameters = inner.parameters


def _train(
    folder: Path,
    policy: object,
    source: object,
    objective: Objective,
    schedule: UpdateSchedule = ONE_UPDATE,
) -> None:
    settings = Settings(2, 0.1, 1.0, schedule=schedule)
    checkpoint = Checkpoint(folder / "state", folder / "log.jsonl")
    train(policy, source, objective, settings, checkpoint)  # type: ignore[arg-type]


@pytest.mark.parametrize("objective", [Reinforce(), Weighted(), RejectionSampling()])
@pytest.mark.parametrize("schedule", [UpdateSchedule(2), UpdateSchedule(1, 2)])
def test_objectives_for_one_update_refuse_more(
    tmp_path: Path, objective: Objective, schedule: UpdateSchedule
) -> None:
    with pytest.raises(InputError, match="one update from each batch"):
        _train(tmp_path, TablePolicy(WORLD.logits), _Never(), objective, schedule)
    assert not list(tmp_path.iterdir())


def test_an_entropy_bonus_needs_entropies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="entropy_weight: _NoEntropies doesn't give entropies"):
        _train(tmp_path, _NoEntropies(), _Never(), Reinforce(entropy_weight=0.1))
    _train(tmp_path, _NoEntropies(), _Once(_batch()), Reinforce())


@pytest.mark.parametrize(
    "objective",
    [
        Reinforce(),
        Ppo(),
        Grpo(),
        DrGrpo(),
        Weighted(),
        RejectionSampling(),
        Ppo(baseline=LeaveOneOut()),
    ],
)
def test_one_sample_of_a_prompt_cannot_be_compared(tmp_path: Path, objective: Objective) -> None:
    with pytest.raises(InputError, match="needs at least 2, got 1"):
        objective.require_group(1)
    objective.require_group(2)
    alone = WORLD.draw(8, 1, 0, WORLD.logits)
    with pytest.raises(InputError, match="samples_per_prompt"):
        _train(tmp_path, TablePolicy(WORLD.logits), _Once(alone), objective)
    _train(tmp_path, TablePolicy(WORLD.logits), _Once(alone), Reinforce(baseline=MovingAverage()))


def test_an_empty_loss_mask_is_refused() -> None:
    batch = _batch()
    mask = batch.mask_BT.clone()
    mask[7] = False
    with pytest.raises(InputError, match="trajectory 7 has no action"):
        _learn(Supervised(), replace(batch, mask_BT=mask), UpdateSchedule())


def test_wrong_shapes_are_refused() -> None:
    batch = _batch()
    with pytest.raises(InputError, match=r"reward: got the shape \(23,\) for 24 trajectories"):
        batch.rewarded(torch.zeros(23))
    with pytest.raises(InputError, match=r"reward: got the shape \(24, 1\)"):
        batch.rewarded(torch.zeros(24, 1))
    with pytest.raises(InputError, match=r"reward_BT: has the shape \(24, 3\)"):
        _learn(Reinforce(), replace(batch, reward_BT=batch.reward_BT[:, :3]), UpdateSchedule())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KL(0.1, "k4"), "k1, k2 or k3"),  # type: ignore[arg-type]
        (lambda: KL(0.1, place="there"), "reward or loss"),  # type: ignore[arg-type]
        (lambda: MovingAverage(rate=0.0), "rate"),
        (lambda: Weighted(temperature=0.0), "temperature"),
        (lambda: Ppo(gae_lambda=0.9), "belong to the baseline 'value'"),
        (lambda: UpdateSchedule(0), "at least 1"),
    ],
)
def test_impossible_options_are_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]


# The example of the documentation


def test_the_documented_objective_works(tmp_path: Path) -> None:
    page = DOCS / "objectives.md"
    found = re.search(r'```python title="signs.py"\n(.+?)```', page.read_text("utf-8"), re.S)
    assert found
    (tmp_path / "signs.py").write_text(found[1], encoding="utf-8")
    spec = importlib.util.spec_from_file_location("signs", tmp_path / "signs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["signs"] = module  # pydantic looks its module up
    spec.loader.exec_module(module)
    objective: Objective = module.Signs(kl=KL(0.01), entropy_weight=0.001)
    batch = _batch()
    sign = (batch.return_B.reshape(6, 4) - batch.return_B.reshape(6, 4).mean(1, True)).sign()
    credit = module.Signs().credit(batch)
    torch.testing.assert_close(credit, sign.reshape(24, 1) * batch.mask_BT)
    policy = TablePolicy(WORLD.logits)
    optimizer = torch.optim.SGD([policy.logits], 0.3)
    for step in range(60):
        batch = WORLD.draw(16, 4, step, policy.logits.detach())
        update(policy, optimizer, objective, batch, 10.0)
    returns = [
        float((WORLD.probabilities(table) * WORLD.reward_NT.sum(1)).sum())
        for table in (WORLD.logits, policy.logits.detach())
    ]
    assert returns[1] > 1.5 * returns[0]
    with pytest.raises(InputError, match="Signs compares"):
        objective.require_group(1)


def test_the_documented_components_exist() -> None:
    page = DOCS / "objectives.md"
    for code in re.findall(r"```python\n(.+?)```", page.read_text("utf-8"), re.S):
        names = re.findall(r"^from (\S+) import (.+)$", code, re.M)
        assert names
        for module, imported in names:
            for name in imported.split(", "):
                assert hasattr(importlib.import_module(module), name)
