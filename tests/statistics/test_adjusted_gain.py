"""A gain without what goes along with it: against least squares, and where it can't be told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from truing.statistics.adjusted_gain import QUESTIONS_EACH, adjusted_gain
from truing.statistics.means import mean
from truing.types import Estimate, Unscored

N = 80
Features = dict[str, dict[str, float]]


def features(**columns: np.ndarray) -> Features:
    return {
        f"q{place:03}": {name: float(column[place]) for name, column in columns.items()}
        for place in range(len(next(iter(columns.values()))))
    }


def gains(values: np.ndarray) -> dict[str, float]:
    return {f"q{place:03}": float(value) for place, value in enumerate(values)}


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return (
        generator.normal(0.5, 1.0, N),
        (generator.random(N) < 0.6).astype(float),
        generator.normal(0, 0.3, N),
    )


def test_it_is_the_intercept_of_least_squares() -> None:
    length, ending, noise = drawn(0)
    gain = 0.1 + 0.3 * length - 0.2 * ending + noise
    found = adjusted_gain(gains(gain), features(length=length, ending=ending))
    best = least_squares(lambda p: p[0] + p[1] * length + p[2] * ending - gain, [0.0, 0.0, 0.0])
    assert isinstance(found, Estimate) and found.value == pytest.approx(best.x[0], abs=1e-6)
    assert found.n == N


def test_a_gain_that_is_all_length_is_gone_and_one_that_is_not_stays() -> None:
    covered = gone = 0
    for seed in range(40):
        length, ending, noise = drawn(seed)
        with_length = adjusted_gain(gains(0.3 * length + noise), features(length=length, e=ending))
        own = adjusted_gain(gains(0.3 + 0.3 * length + noise), features(length=length, e=ending))
        assert isinstance(with_length, Estimate) and isinstance(own, Estimate)
        gone += with_length.low <= 0 <= with_length.high  # type: ignore[operator]
        covered += own.low <= 0.3 <= own.high  # type: ignore[operator]
        assert own.low > 0  # type: ignore[operator]
    assert gone >= 34 and covered >= 34  # 38 of 40 are to be expected


def test_features_may_change_together_where_some_questions_are_free_of_them() -> None:
    length, _, noise = drawn(2)
    length[::3] = 0.0
    alone = adjusted_gain(gains(0.2 + 0.1 * length + noise), features(length=length))
    both = adjusted_gain(
        gains(0.2 + 0.1 * length + noise), features(length=length, politeness=2 * length)
    )
    assert isinstance(alone, Estimate) and isinstance(both, Estimate)
    assert both.value == pytest.approx(alone.value) and both.low == pytest.approx(alone.low)


def test_features_that_changed_nowhere_play_no_part() -> None:
    gain = drawn(1)[2]
    found = adjusted_gain(gains(gain), features(length=np.zeros(N)), resamples=500)
    plain = mean(gain.tolist(), resamples=500)
    assert isinstance(found, Estimate) and found.value == pytest.approx(plain.value)
    assert found.low == pytest.approx(plain.low, abs=0.02)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"length": np.full(N, 2.0)}, "length changed alike on every question"),
        (
            {"a": np.linspace(0, 1, N), "b": 2 - 2 * np.linspace(0, 1, N)},
            "the features together changed alike on every question",
        ),
        ({"length": np.arange(9.0)}, f"9 questions are too few to adjust for {1} features"),
    ],
)
def test_where_it_cannot_be_told_it_is_unscored(
    columns: dict[str, np.ndarray], reason: str
) -> None:
    count = len(next(iter(columns.values())))
    assert count >= 2 * QUESTIONS_EACH or "too few" in reason
    assert adjusted_gain(gains(np.ones(count)), features(**columns)) == Unscored(reason)
