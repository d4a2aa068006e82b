"""How many answers each arm of a comparison of two shares needs.

Both formulas are the classical ones of the normal distribution for two independent shares, with the
variances of the shares themselves (unpooled) and no correction for continuity (Chow, Shao, Wang and
Lokhnygina, 2017, Sample Size Calculations in Clinical Research, 3rd edition, section 4.2):

    n = (z(1 - alpha / 2) + z(power))^2 * (p1 (1 - p1) + p2 (1 - p2)) / (p1 - p2)^2
    n =  z(1 - alpha / 2)^2             * (p1 (1 - p1) + p2 (1 - p2)) / margin^2

They count answers that are independent of each other; those of few people about few items are worth less.
"""

from __future__ import annotations

from math import ceil, sqrt

from scipy.special import ndtri

from truing.statistics.means import TAILS

POWER = 0.8
UNAIDED, EXPERT = 0.5, 0.8
"""Shares that a gap is planned for where none is known: guessing, and reading with some mistakes."""
_ROUNDING = 1e-9


def answers_per_arm(first: float, second: float, power: float = POWER) -> int:
    """Answers in each of two arms with which a two-sided test at 5 % sees that the shares differ, with
    this power. Raises ValueError where the shares are equal or aren't inside of 0 to 1."""
    if first == second:
        raise ValueError("shares that are equal can't be told apart by any number of answers")
    reach = float(ndtri(TAILS[1]) + ndtri(power))
    return _whole(reach**2 * _variance(first, second) / (first - second) ** 2)


def answers_for_margin(margin: float, first: float = UNAIDED, second: float = EXPERT) -> int:
    """Answers in each of two arms with which the 95 % interval of their difference is +- margin."""
    if margin <= 0:
        raise ValueError("a margin is above 0")
    return _whole(float(ndtri(TAILS[1])) ** 2 * _variance(first, second) / margin**2)


def margin_of(answers: int, first: float = UNAIDED, second: float = EXPERT) -> float:
    """Half the width of the 95 % interval of the difference, with so many answers in each arm."""
    return float(ndtri(TAILS[1])) * sqrt(_variance(first, second) / answers)


def _variance(first: float, second: float) -> float:
    if not (0 < first < 1 and 0 < second < 1):
        raise ValueError("a share lies inside of 0 to 1")
    return first * (1 - first) + second * (1 - second)


def _whole(number: float) -> int:
    return ceil(number - _ROUNDING)
