"""The best of n from one draw: against going through every set of n of the drawn answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
import pytest

from truing.statistics.at_k import hit_at_k
from truing.statistics.best_of_n import Draws, best_of_n, chances, curve, gains, kl_bound
from truing.statistics.means import mean
from truing.types import Estimate, Score, Unscored

NONE = Unscored("no reward")
UNJUDGED = Unscored("no judge")


def _enumerated(rewards: Sequence[Score], values: Sequence[Score], n: int) -> float | None:
    """The mean value of the chosen answers over all sets, those of the largest reward in equal parts."""
    total = weight = 0.0
    for places in combinations(range(len(rewards)), n):
        own = [-np.inf if isinstance(r, Unscored) else r for r in (rewards[p] for p in places)]
        best = [place for place, reward in zip(places, own, strict=True) if reward == max(own)]
        for place in best:
            value = values[place]
            if not isinstance(value, Unscored):
                total += value / len(best)
                weight += 1 / len(best)
    return total / weight if weight else None


CASES: dict[str, tuple[list[Score], list[Score]]] = {
    "no ties": ([0.3, -1.0, 2.0, 0.0, 5.5], [1.0, 0.0, 0.25, -3.0, 0.5]),
    "ties at the top": ([1.0, 1.0, 0.0, 1.0, -2.0, 0.0], [0.1, 0.9, 4.0, 0.4, 0.0, 7.0]),
    "all tied": ([2.0] * 5, [1.0, 2.0, 3.0, 4.0, 10.0]),
    "minus zero is zero": ([0.0, -0.0, -1.0], [1.0, 3.0, 9.0]),
    "without rewards": ([NONE, 1.0, NONE, 0.0, NONE, NONE], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "no rewards": ([NONE] * 4, [1.0, 2.0, 3.0, 5.0]),
    "without values": ([3.0, 2.0, 2.0, 1.0, 0.0], [UNJUDGED, 1.0, UNJUDGED, 0.0, 0.5]),
    "one answer": ([1.0], [0.7]),
}


@pytest.mark.parametrize("name", CASES)
def test_it_equals_going_through_all_sets(name: str) -> None:
    rewards, values = CASES[name]
    for n in range(1, len(rewards) + 1):
        exact = _enumerated(rewards, values, n)
        score = best_of_n(rewards, values, n)
        if exact is None:
            assert isinstance(score, Unscored)
        else:
            assert score == pytest.approx(exact, abs=1e-12)


def test_random_draws_with_ties_equal_going_through_all_sets() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        size = int(rng.integers(1, 10))
        rewards: list[Score] = [*map(float, rng.integers(0, 4, size))]
        values: list[Score] = [*map(float, rng.normal(size=size))]
        for n in range(1, size + 1):
            exact = _enumerated(rewards, values, n)
            assert best_of_n(rewards, values, n) == pytest.approx(exact, abs=1e-12)


def test_chances_are_those_of_taking_the_first_of_equals_in_any_order() -> None:
    rewards: list[Score] = [1.0, 1.0, 0.0, NONE]
    taken = [0, 0, 0, 0]
    orders = list(permutations(range(4)))
    for order in orders:
        first_two = [-np.inf if r is NONE else r for r in (rewards[p] for p in order[:2])]
        taken[order[first_two.index(max(first_two))]] += 1
    assert chances(rewards, 2) == pytest.approx([n / len(orders) for n in taken], abs=1e-12)


def test_of_large_draws_nothing_is_lost_to_rounding() -> None:
    rewards: list[Score] = [float(place // 3) for place in range(192)]
    for n in (1, 2, 64, 96, 191, 192):
        assert sum(chances(rewards, n)) == pytest.approx(1.0, abs=1e-12)
    assert chances(rewards, 1) == pytest.approx([1 / 192] * 192, abs=1e-15)
    assert chances(rewards, 192) == pytest.approx([0.0] * 189 + [1 / 3] * 3, abs=1e-15)


def test_where_reward_is_success_it_is_hit_at_k() -> None:
    for successes in range(7):
        own: list[Score] = [1.0] * successes + [0.0] * (6 - successes)
        for n in range(1, 7):
            assert best_of_n(own, own, n) == pytest.approx(hit_at_k(successes, 6, n), abs=1e-12)


def test_it_is_unbiased() -> None:
    """Rewards uniform on (0, 1): the best of n has mean n / (n + 1), whatever the draw's size."""
    rng = np.random.default_rng(0)
    draws = rng.uniform(size=(3000, 8)).tolist()
    for n in (1, 2, 5, 8):
        scores = [best_of_n(own, own, n) for own in draws]
        assert np.mean(np.array(scores, dtype=float)) == pytest.approx(n / (n + 1), abs=0.01)


def test_too_few_answers_and_wrong_counts() -> None:
    assert best_of_n([1.0], [1.0], 2) == Unscored("the best of 2 needs 2 answers, there are 1")
    for n in (0, 3):
        with pytest.raises(ValueError, match="n is at least 1"):
            chances([1.0, 2.0], n)
    with pytest.raises(ValueError, match="zip"):
        best_of_n([1.0, 2.0], [1.0], 1)


def test_the_curve_is_a_mean_over_prompts_whose_answers_stay_together() -> None:
    items = [
        Draws("a", [0.0, 1.0], [0.0, 1.0]),
        Draws("b", [1.0, 0.0], [0.0, 1.0]),
        Draws("c", [0.0, 1.0], [UNJUDGED, 1.0]),
        Draws("d", [0.0], [0.0]),
    ]
    estimates = curve(items, [1, 2])
    expected = mean([0.5, 0.5, 1.0, 0.0])
    assert estimates[1] == expected
    two = mean([1.0, 0.0, 1.0])
    assert estimates[2] == Estimate(two.value, two.low, two.high, 3, 1)
    assert curve(items[::-1], [1, 2]) == estimates
    assert gains(items, [2])[2] == Estimate(0.0, *_bounds([0.5, -0.5, 0.0]), 3, 1)


def _bounds(values: list[float]) -> tuple[float | None, float | None]:
    estimate = mean(values)
    return estimate.low, estimate.high


def test_items_of_one_prompt_are_one() -> None:
    seeds = [Draws("a", [0.0, 1.0], [0.0, 1.0]), Draws("a", [0.0, 1.0], [0.0, 0.5])]
    estimate = curve(seeds, [2])[2]
    assert estimate == Estimate(0.75, None, None, 1)
    assert curve([], [1]) == {1: Estimate(None, None, None, 0)}


def test_the_bound_on_the_divergence() -> None:
    assert kl_bound(1) == 0
    assert kl_bound(64) == pytest.approx(np.log(64) - 63 / 64)
