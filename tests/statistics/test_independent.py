"""The difference of two figures that share no case, against SciPy's bootstrap and the normal theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from truing.statistics.independent import independent_difference
from truing.statistics.means import mean
from truing.types import Estimate


def test_it_is_scipys_bootstrap_of_two_samples_but_for_the_draws() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = rng.gamma(2.0, 0.3, 60), rng.beta(2, 3, 90)
    found = independent_difference(mean(list(ours)), mean(list(theirs)))
    wanted = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis=-1: a.mean(axis=axis) - b.mean(axis=axis),
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found.value == ours.mean() - theirs.mean() and found.n == 60
    width = wanted.high - wanted.low
    assert found.low == pytest.approx(wanted.low, abs=0.05 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.05 * width)


def test_of_symmetric_intervals_it_is_the_root_of_summed_squares() -> None:
    found = independent_difference(
        Estimate(1.0, 0.7, 1.3, 20, unscored=1), Estimate(0.5, 0.1, 0.9, 10, unscored=2)
    )
    assert found.value == 0.5 and found.n == 10 and found.unscored == 3
    assert found.low == pytest.approx(0.5 - math.hypot(0.3, 0.4))
    assert found.high == pytest.approx(0.5 + math.hypot(0.3, 0.4))


def test_what_has_no_interval_gives_none() -> None:
    lone, none = Estimate(0.4, None, None, 1), Estimate(None, None, None, 0, unscored=4)
    whole = Estimate(0.5, 0.4, 0.6, 9)
    assert independent_difference(whole, lone) == Estimate(0.5 - 0.4, None, None, 1)
    assert independent_difference(whole, none) == Estimate(None, None, None, 0, unscored=4)
