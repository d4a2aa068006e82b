"""When training ends early."""

from __future__ import annotations

import pytest

from truing.learn.stopping import KlAbove, RewardPlateau
from truing.types import InputError


def _stops_at(rule: RewardPlateau, rewards: list[float | None]) -> int | None:
    rows = [{"step": step, "reward": reward} for step, reward in enumerate(rewards, start=1)]
    return next((n for n in range(1, len(rows) + 1) if rule(rows[:n])), None)


def test_above_the_kl_limit() -> None:
    rule = KlAbove(2.0)
    assert rule([{"kl": 5.0}, {"kl": 2.0}]) == ""  # the last row decides
    assert rule([{"kl": 1.0}, {"kl": 2.5}]) == "KL 2.5 nats per trajectory, above the limit of 2"
    assert rule([{"kl": None}]) == rule([{}]) == ""


def test_a_plateau_by_hand() -> None:
    rule = RewardPlateau(patience=3, window=2)
    # Averages over two: 0.5 1.5 2 1.5 1.5 1.5; the best, 2, stands at step 4.
    assert _stops_at(rule, [0, 1, 2, 2, 1, 2, 1]) == 7
    assert "2.000 for 3 steps" in rule([{"reward": r} for r in (0, 1, 2, 2, 1, 2, 1)])
    assert _stops_at(rule, [0.1 * n for n in range(30)]) is None
    assert _stops_at(rule, [1.0] * 10) == 5
    # Steps without a reward don't count.
    assert _stops_at(rule, [0, None, 1, 2, None, 2, 1, None, 2, 1]) == 10


def test_a_gain_must_be_worth_it() -> None:
    rising = [0.1 * n for n in range(40)]
    assert _stops_at(RewardPlateau(5, 1, least_gain=1.0), rising) == 6
    assert _stops_at(RewardPlateau(20, 1, least_gain=1.0), rising) is None


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1 step"):
        RewardPlateau(0)
    with pytest.raises(InputError, match="at least 1 step"):
        RewardPlateau(3, window=0)
