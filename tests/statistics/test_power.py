"""How many answers an arm needs: published and planned figures, and by simulation."""

import numpy as np
import pytest

from truing.statistics.power import answers_for_margin, answers_per_arm, margin_of


@pytest.mark.parametrize(
    ("first", "second", "answers"),
    [
        (0.5, 0.55, 1562),
        (0.75, 0.8, 1091),
        (0.572, 0.754, 102),
        (0.78, 0.88, 218),
        (0.74, 0.84, 257),
    ],
)
def test_answers_for_eighty_percent_power(first: float, second: float, answers: int) -> None:
    assert answers_per_arm(first, second) == answers == answers_per_arm(second, first)


def test_answers_for_a_margin_and_back() -> None:
    assert answers_for_margin(0.05) == 630
    assert margin_of(630) == pytest.approx(0.05, abs=1e-5)


def test_the_power_is_what_a_simulation_has() -> None:
    rng, n = np.random.default_rng(0), answers_per_arm(0.572, 0.754)
    one, other = rng.binomial(n, 0.572, 20_000) / n, rng.binomial(n, 0.754, 20_000) / n
    error = np.sqrt((one * (1 - one) + other * (1 - other)) / n)
    assert np.mean(np.abs(one - other) > 1.96 * error) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.0, 0.5), (0.5, 1.2)])
def test_shares_that_cannot_be_compared(first: float, second: float) -> None:
    with pytest.raises(ValueError, match="share"):
        answers_per_arm(first, second)
