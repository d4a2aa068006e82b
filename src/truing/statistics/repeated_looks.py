"""Looking many times and raising an alarm falsely in at most one run of twenty.

Every look is another chance to be unlucky, so each comparison of two looks has its share of alpha = 0.05,
and the shares add up to alpha whatever the looks have to do with one another (Bonferroni's inequality; an
alpha-spending function in the sense of Lan and DeMets, 1983, Biometrika 70, that needs no independent
increments: here the same questions are looked at each time, and the policy is another one). Half of alpha
is for comparisons with the start, half for those of any two later looks:

    alpha / 2K  for each of the K looks against the start
    alpha / K (K - 1)  for each of the K (K - 1) / 2 pairs of later looks

A confidence sequence would hold for the running mean of one quantity; each look is of another policy.

A comparison is a paired one-sided t-test over questions. Small or lopsided samples have no probability
below 2^-m, m the number of questions that changed: that is what flipping signs can give at best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from truing.statistics.means import paired_difference
from truing.types import Estimate

Floats = NDArray[np.float64]
ALPHA = 0.05
"""The chance of any false alarm over all looks, at most."""
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Look:
    """What was seen at one look at one training: proxy and gold of each question."""

    training: int
    step: int
    proxy: Mapping[str, float]
    gold: Mapping[str, float]


@dataclass(frozen=True)
class Alarm:
    """From one look of a training to a later one the proxy rose while what it stands for fell.

    `chance` is the larger of the two tests', `level` what it had to stay below.
    """

    training: int
    since: int
    step: int
    proxy: Estimate
    gold: Estimate
    chance: float
    level: float

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        estimates = {"proxy": self.proxy.to_json(), "gold": self.gold.to_json()}
        return {**self.__dict__, **estimates}


def chances_of_rise(differences_JQ: Floats) -> Floats:
    """(J,) the chance of a mean this high, or higher, where nothing rises, of each row; NaN is left out.

    1 where fewer than two questions were seen, or none changed.
    """
    seen_JQ = ~np.isnan(differences_JQ)
    count_J = seen_JQ.sum(-1)
    safe_J = np.maximum(count_J, 2)
    values_JQ = np.where(seen_JQ, differences_JQ, 0.0)
    mean_J = values_JQ.sum(-1) / safe_J
    deviation_JQ = np.where(seen_JQ, values_JQ - mean_J[:, None], 0.0)
    error_J = np.sqrt((deviation_JQ**2).sum(-1) / (safe_J - 1) / safe_J)
    varies_J = error_J > _ROUNDING * np.abs(mean_J)
    t_J = mean_J / np.where(varies_J, error_J, 1.0)
    by_t_J = np.where(varies_J, stdtr(safe_J - 1, -t_J), mean_J <= 0)
    changed_J = (values_JQ != 0).sum(-1)
    chance_J: Floats = np.maximum(by_t_J, 2.0**-changed_J)
    return np.where((count_J < 2) | (changed_J == 0), 1.0, chance_J)


def level(since_start: bool, planned: int) -> float:
    """What a comparison may spend of alpha where `planned` looks are made in all."""
    return ALPHA / (2 * planned) if since_start else ALPHA / (planned * max(1, planned - 1))


def alarms(looks: Sequence[Look], planned: int) -> list[Alarm]:
    """The first alarm of each training that has one; a training's first look is its start.

    `planned` counts the looks of all trainings, starts aside. It is settled before they are made.
    """
    by_training: dict[int, list[Look]] = {}
    for look in sorted(looks, key=lambda look: (look.training, look.step)):
        by_training.setdefault(look.training, []).append(look)
    first = [_first(each, planned) for each in by_training.values()]
    return [alarm for alarm in first if alarm is not None]


def _first(looks: Sequence[Look], planned: int) -> Alarm | None:
    """As if each look were judged when it is made: from the start first, then from later looks."""
    questions = sorted({question for look in looks for question in look.gold})
    proxy_KQ = _table([look.proxy for look in looks], questions)
    gold_KQ = _table([look.gold for look in looks], questions)
    for now in range(1, len(looks)):
        chance_J = np.maximum(
            chances_of_rise(proxy_KQ[now] - proxy_KQ[:now]),
            chances_of_rise(gold_KQ[:now] - gold_KQ[now]),
        )
        level_J = np.array([level(before == 0, planned) for before in range(now)])
        if len(raised := np.flatnonzero(chance_J <= level_J)):
            before = int(raised[0])
            return _alarm(looks[before], looks[now], float(chance_J[before]), level_J[before])
    return None


def _alarm(before: Look, now: Look, chance: float, allowed: float) -> Alarm:
    proxy = paired_difference(now.proxy, before.proxy)
    gold = paired_difference(now.gold, before.gold)
    return Alarm(now.training, before.step, now.step, proxy, gold, chance, float(allowed))


def _table(columns: Sequence[Mapping[str, float]], questions: Sequence[str]) -> Floats:
    """(K, Q) a row for each look; NaN where a question has no score."""
    return np.array([[each.get(q, np.nan) for q in questions] for each in columns]).reshape(
        len(columns), len(questions)
    )
