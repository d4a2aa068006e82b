"""What is rated apart and put in order, against every pair counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from truing.statistics.ordering import Order


def test_every_pair_is_counted_once_by_its_weight() -> None:
    generator = np.random.default_rng(0)
    score, weight = generator.integers(0, 6, 40) / 2, generator.integers(0, 3, 40).astype(float)
    rating = generator.integers(1, 8, 40)
    right = of_all = 0.0
    for one in range(40):
        for other in range(40):
            if rating[one] > rating[other]:
                both = weight[one] * weight[other]
                of_all += both
                right += both * (np.sign(score[one] - score[other]) + 1) / 2
    assert Order.of(score, rating).pairs(weight) == pytest.approx((right, of_all), abs=1e-12)


def test_equal_ratings_are_no_pair() -> None:
    assert Order.of(np.array([1.0, 2.0]), np.array([4, 4])).pairs(np.ones(2)) == (0.0, 0.0)
