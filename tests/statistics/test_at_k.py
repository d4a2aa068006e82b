"""hit@k: against going through every subset of tries."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from truing.statistics.at_k import hit_at_k, mean_hit_at_k
from truing.types import Unscored


def test_it_equals_going_through_all_subsets() -> None:
    for tries in range(1, 9):
        for successes in range(tries + 1):
            results = [1] * successes + [0] * (tries - successes)
            for k in range(1, tries + 1):
                subsets = list(combinations(results, k))
                enumerated = sum(any(subset) for subset in subsets) / len(subsets)
                assert hit_at_k(successes, tries, k) == pytest.approx(enumerated, abs=1e-12)


def test_it_is_exact_where_numbers_are_large() -> None:
    product = 1 - np.prod([(975 - j) / (1000 - j) for j in range(25)])
    assert hit_at_k(25, 1000, 25) == pytest.approx(float(product), abs=1e-12)


def test_it_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    chances = [hit_at_k(int(rng.binomial(10, 0.2)), 10, 5) for _ in range(4000)]
    scored = [chance for chance in chances if isinstance(chance, float)]
    assert np.mean(scored) == pytest.approx(1 - 0.8**5, abs=0.015)


def test_more_tries_than_there_are_is_unscored() -> None:
    assert hit_at_k(1, 4, 5) == Unscored("hit@5 needs 5 tries, there are 4")
    for wrong in ((2, 1, 1), (-1, 3, 1), (1, 3, 0)):
        with pytest.raises(ValueError, match="successes"):
            hit_at_k(*wrong)


def test_the_mean_is_over_items_with_enough_tries() -> None:
    empty = Unscored("the answer is empty")
    items = [[1.0, 0.0, 0.0], [0.0, 0.0, empty, 0.0], [1.0, empty, 0.0], [1.0, 1.0, 1.0]]
    estimate = mean_hit_at_k(items, 3, resamples=200)
    assert (estimate.value, estimate.n, estimate.unscored) == (pytest.approx(2 / 3), 3, 1)
    assert (estimate.low, estimate.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="succeeds"):
        mean_hit_at_k([[0.5]], 1)
