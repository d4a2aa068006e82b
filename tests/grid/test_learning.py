"""Learning on the grid: exact gradients, the optimum, the same run again."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from truing.grid.episodes import GridSource, as_trajectories, play
from truing.grid.exact import action_values, expected_return, policy_values
from truing.grid.map import BUILT_IN, parse_map
from truing.grid.table_policy import Actor, DeterministicTable, SoftmaxTable, visited
from truing.grid.training import digest, learn, objective_of, to_json, updates_of, world_of
from truing.grid.world import GridWorld, make_world
from truing.learn.update import evaluate
from truing.spec.grid import GridSpec, make_grid_spec
from truing.types import InputError

QUICK = {"episodes": 10_240, "updates": 40, "learning_rate": 0.3}
SMALL = parse_map("S.\n#*", "small", "small")


def _random_policy(states: int, seed: int = 0) -> SoftmaxTable:
    policy = SoftmaxTable(states)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        policy.logits.copy_(torch.randn(policy.logits.shape, generator=generator))
    return policy


def _exact_gradient(world: GridWorld, logits: torch.Tensor) -> torch.Tensor:
    """Of the expected discounted return, by backward induction that PyTorch differentiates."""
    table = logits.detach().double().clone().requires_grad_()
    policy = table.softmax(-1)
    chance = torch.from_numpy(world.chance_AM)
    value = torch.zeros(world.states, dtype=torch.float64)
    moved, reward = torch.from_numpy(world.moved_SM), torch.from_numpy(world.reward_SM)
    for _ in range(world.horizon):
        value = (policy * ((reward + world.discount * value[moved]) @ chance.T)).sum(1)
    (torch.from_numpy(world.start_S) * value).sum().backward()
    assert table.grad is not None
    return table.grad


@pytest.mark.parametrize("slip", [0.0, 0.3])
def test_the_estimate_is_unbiased(slip: float) -> None:
    world = GridWorld(SMALL, slip, 0.8, 6)
    policy = _random_policy(world.states)
    exact = _exact_gradient(world, policy.logits)
    objective = objective_of(GridSpec(discount=0.8), world)
    objective.learn(  # a baseline that isn't 0, from other episodes
        as_trajectories(play(world, policy.probabilities(), 500, np.random.default_rng(9)), policy)
    )
    for count in (4_000, 64_000):
        episodes = play(world, policy.probabilities(), count, np.random.default_rng(count))
        batch = as_trajectories(episodes, policy)
        score = torch.nn.functional.one_hot(batch.data[..., 1], 4)
        score = score - torch.from_numpy(policy.probabilities())[visited(batch)]
        terms = objective.credit(batch)[..., None] * score * batch.mask_BT[..., None]
        each = torch.zeros(count, world.states, 4, dtype=torch.float64)
        index = visited(batch)[..., None].expand(-1, -1, 4)
        each.scatter_add_(1, index, terms)
        error = each.std(0) / count**0.5
        z = (each.mean(0) - exact)[error > 0] / error[error > 0]
        assert len(z) >= 8
        assert float(z.abs().max()) < 4.5
        assert 0.2 < float(z.square().mean()) < 3
        # What the loop differentiates is this very estimate.
        policy.logits.grad = None
        (
            objective.loss(
                evaluate(policy, objective, batch), objective.credit(batch), batch
            ).loss_B.sum()
            / count
        ).backward()
        assert policy.logits.grad is not None
        torch.testing.assert_close(-policy.logits.grad.double(), each.mean(0), atol=1e-4, rtol=1e-3)


def test_log_probs_and_entropies_by_hand() -> None:
    world = GridWorld(SMALL, 0.2, 0.9, 5)
    policy = _random_policy(world.states, 3)
    batch = as_trajectories(
        play(world, policy.probabilities(), 20, np.random.default_rng(1)), policy
    )
    chances = policy.probabilities()
    log_probs, entropies = policy.log_probs_and_entropies(batch)
    assert torch.equal(log_probs, policy.log_probs(batch))
    for row in range(20):
        for time in range(batch.mask_BT.shape[1]):
            state, action = batch.data[row, time].tolist()
            expected = (
                np.log(chances[state, action]),
                -(chances[state] * np.log(chances[state])).sum(),
            )
            if not batch.mask_BT[row, time]:
                expected = (0.0, 0.0)
            found = (float(log_probs[row, time].detach()), float(entropies[row, time].detach()))
            assert found == pytest.approx(expected, abs=1e-6)


def test_actions_are_drawn_with_their_probabilities() -> None:
    table = np.array([[0.1, 0.2, 0.3, 0.4], [0.0, 1.0, 0.0, 0.0]])
    draws = (np.arange(1000) + 0.5) / 1000
    actor = Actor(table)
    counts = np.bincount(actor.act(np.zeros(1000, dtype=np.int64), draws), minlength=4)
    assert counts.tolist() == [100, 200, 300, 400]
    assert set(actor.act(np.ones(1000, dtype=np.int64), draws)) == {1}


def test_episodes_follow_the_world_and_their_mean_return_is_the_exact_one() -> None:
    world = make_world("open", 0.2, 0.9, 40)
    policy = SoftmaxTable(world.states)
    episodes = play(world, policy.probabilities(), 20_000, np.random.default_rng(0))
    discounts = 0.9 ** np.arange(episodes.reward_BT.shape[1])
    returns = episodes.reward_BT @ discounts
    exact = expected_return(world, policy.probabilities())
    assert abs(returns.mean() - exact) < 4 * returns.std() / len(returns) ** 0.5
    assert 0.01 < exact < 0.5
    for row in range(200):
        length = int(episodes.length_B[row])
        states = [*episodes.state_BT[row, :length].tolist()]
        if episodes.reached_B[row]:
            states.append(world.grid.star)
        else:
            assert length == 40
        for before, after in itertools.pairwise(states):
            assert after in world.moved_SM[before]
        assert episodes.reward_BT[row].sum() == float(episodes.reached_B[row])
        assert not episodes.reward_BT[row, length:].any()


def test_every_episode_is_played_once() -> None:
    world = make_world("open")
    source = GridSource(world, SoftmaxTable(world.states), episodes=107, updates=10, seed=0)
    rows = [source.batch(step) for step in range(1, 11)]
    assert sum(len(batch) for batch, _ in rows) == 107
    assert [row["episodes"] for _, row in rows] == [107 * step // 10 for step in range(1, 11)]
    again = source.batch(3)[0]
    assert torch.equal(again.data, rows[2][0].data)


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_optimum_is_reached(name: str, tmp_path: Path) -> None:
    for seed in range(3):
        run = learn(GridSpec(map=name, seed=seed, **QUICK), tmp_path / f"{seed}")
        assert run.share >= 0.99, f"seed {seed}"
        assert run.curve[0].result < 0.5 * run.best.result
    slippery = learn(GridSpec(map=name, slip=0.2), tmp_path / "slip")
    assert 0.99 <= slippery.share <= 1


def test_a_run_is_what_it_says(tmp_path: Path) -> None:
    run = learn(GridSpec(map="maze", slip=0.1, episodes=500, updates=20), tmp_path)
    assert run.result == pytest.approx(expected_return(run.world, run.policy_SA), abs=1e-12)
    np.testing.assert_allclose(
        run.value_S,
        (run.policy_SA * action_values(run.world, policy_values(run.world, run.policy_SA))).sum(1),
        atol=1e-6,
    )
    assert (run.curve[0].update, run.curve[-1].update, run.curve[-1].episodes) == (0, 20, 500)
    assert run.curve[-1].result == pytest.approx(run.result, abs=1e-12)
    greedy = DeterministicTable(run.policy_SA.argmax(1))
    expected = expected_return(run.world, greedy.probabilities())
    assert run.deterministic_return == pytest.approx(expected)


def test_the_same_seed_gives_the_same_run_and_a_killed_one_goes_on(tmp_path: Path) -> None:
    spec = GridSpec(map="gap", slip=0.1, episodes=3000, updates=60, seed=4)
    whole = learn(spec, tmp_path / "whole")
    assert to_json(learn(spec, tmp_path / "again")) == to_json(whole)

    class Killed(Exception):
        pass

    class Killer:
        def task(self, *arguments: object, **options: object) -> Killer:
            return self

        def __enter__(self) -> Killer:
            return self

        def __exit__(self, *problem: object) -> None:
            pass

        def __call__(self, done: int, note: str = "") -> None:
            if done >= 55:
                raise Killed

    with pytest.raises(Killed):
        learn(spec, tmp_path / "killed", Killer())  # type: ignore[arg-type]
    assert to_json(learn(spec, tmp_path / "killed")) == to_json(whole)
    other = learn(spec.model_copy(update={"seed": 5}), tmp_path / "other")
    assert not np.array_equal(other.policy_SA, whole.policy_SA)


def test_the_digest_knows_the_drawing(tmp_path: Path) -> None:
    file = tmp_path / "walk.txt"
    names = set()
    for text in ("S.*", "S..*", "S.*"):
        file.write_text(text)
        spec = GridSpec(map=str(file))
        names.add(digest(spec, world_of(spec)))
    assert len(names) == 2


def test_large_runs_have_more_updates_not_larger_batches() -> None:
    assert updates_of(GridSpec()) == 100
    assert updates_of(GridSpec(episodes=30)) == 30
    assert updates_of(GridSpec(episodes=4096 * 100 + 1)) == 101


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"seed": -1}, "grid: seed: "),
        ({"episodes": 0}, "grid: episodes: "),
        ({"learning_rate": 0}, "grid: learning_rate: "),
    ],
)
def test_impossible_settings_are_refused(data: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_grid_spec(data)
