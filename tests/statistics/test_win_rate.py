"""The length-controlled win rate against scikit-learn, by hand, and where length alone decides."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from truing.statistics.win_rate import RIDGE, length_controlled_win_rate
from truing.types import Estimate


def _simulated(theta: float, phi: float, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(wins, length differences) of a judge that follows the model, ours longer by 20 on average."""
    generator = np.random.default_rng(5)
    differences = generator.normal(20, 30, n)
    chances = 1 / (1 + np.exp(-theta - phi * np.tanh(differences / differences.std())))
    return (generator.random(n) < chances).astype(float), differences


def _rate(wins: list[float], differences: list[float]) -> float:
    value = length_controlled_win_rate(wins, differences, resamples=50).value
    assert value is not None
    return value


def test_where_length_alone_wins_it_is_a_half() -> None:
    wins, differences = _simulated(theta=0, phi=2.5, n=4000)
    found = length_controlled_win_rate(wins.tolist(), differences.tolist(), resamples=200)
    assert wins.mean() > 0.65  # what the raw win rate would make of it
    assert found.value == pytest.approx(0.5, abs=0.03)
    assert found.low is not None and found.high is not None and found.low < 0.5 < found.high


@pytest.mark.parametrize("theta", [-1.0, 0.7, 1.5])
def test_quality_is_found_again_behind_length(theta: float) -> None:
    wins, differences = _simulated(theta, phi=1.5, n=6000)
    assert _rate(wins.tolist(), differences.tolist()) == pytest.approx(
        1 / (1 + np.exp(-theta)), abs=0.03
    )


def test_the_fit_is_scikit_learns() -> None:
    wins, differences = _simulated(0.4, 1.0, n=120)
    lengths = np.tanh(differences / differences.std())
    features = np.stack([np.ones_like(lengths), lengths], axis=1)
    oracle = LogisticRegression(C=1 / RIDGE, fit_intercept=False, tol=1e-10, max_iter=1000)
    theta = oracle.fit(features, wins).coef_[0, 0]
    assert _rate(wins.tolist(), differences.tolist()) == pytest.approx(1 / (1 + np.exp(-theta)))


def test_answers_of_equal_length_give_the_plain_win_rate() -> None:
    assert _rate([1, 1, 1, 0], [0, 0, 0, 0]) == pytest.approx(0.75, abs=0.005)
    assert _rate([0.5, 0.5, 0.8, 0.2], [0, 0, 0, 0]) == pytest.approx(0.5)


def test_swapping_the_sides_mirrors_it() -> None:
    wins, differences = _simulated(0.4, 1.0, n=80)
    ours = _rate(wins.tolist(), differences.tolist())
    assert _rate((1 - wins).tolist(), (-differences).tolist()) == pytest.approx(1 - ours)


def test_ends_of_the_scale() -> None:
    assert _rate([1.0] * 30, [3.0, -4.0, 9.0] * 10) > 0.99
    assert _rate([0.0] * 30, [3.0, -4.0, 9.0] * 10) < 0.01
    assert _rate([1, 0] * 20, [5, -5] * 20) == pytest.approx(0.5)  # the longer one always wins


def test_what_is_undefined_has_no_value() -> None:
    assert length_controlled_win_rate([], [], unscored=2) == Estimate(None, None, None, 0, 2)
    always_longer = length_controlled_win_rate([1, 0, 1], [7, 7, 7])
    assert always_longer == Estimate(None, None, None, 0, 3)
    alone = length_controlled_win_rate([1], [0])
    assert alone.value is not None and alone.low is None and alone.n == 1


def test_the_interval_depends_on_the_seed_alone() -> None:
    wins, differences = _simulated(0.4, 1.0, n=60)
    one, same, other = (
        length_controlled_win_rate(wins.tolist(), differences.tolist(), resamples=300, seed=seed)
        for seed in (1, 1, 2)
    )
    assert one == same and one != other


@pytest.mark.parametrize(
    ("wins", "differences"), [([1.5], [0]), ([1, 0], [3]), ([float("nan")], [1]), ([1], [1e999])]
)
def test_mistakes_are_refused(wins: list[float], differences: list[float]) -> None:
    with pytest.raises(ValueError):
        length_controlled_win_rate(wins, differences)
