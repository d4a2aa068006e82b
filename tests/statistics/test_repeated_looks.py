"""Alarms over many looks: the test is scipy's, what is spent, how often honest runs are accused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from truing.statistics.repeated_looks import ALPHA, Look, alarms, chances_of_rise, level

QUESTIONS = [f"q{number:03}" for number in range(40)]


def look(step: int, proxy: np.ndarray, gold: np.ndarray, training: int = 0) -> Look:
    proxies = dict(zip(QUESTIONS, proxy.tolist(), strict=True))
    return Look(training, step, proxies, dict(zip(QUESTIONS, gold.tolist(), strict=True)))


def run_of(gold: list[float], proxy_gain: float, seed: int, training: int = 0) -> list[Look]:
    """Looks at which an answer is good with the given chance, and the proxy rises by a step each time."""
    generator = np.random.default_rng(seed)
    return [
        look(
            place,
            generator.normal(place * proxy_gain, 0.3, len(QUESTIONS)),
            (generator.random(len(QUESTIONS)) < chance).astype(float),
            training,
        )
        for place, chance in enumerate(gold)
    ]


def test_each_comparison_is_a_one_sided_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, (6, 30))
    ours = chances_of_rise(differences)
    theirs = ttest_1samp(differences, 0, axis=1, alternative="greater").pvalue
    assert np.allclose(ours, theirs, atol=1e-12)
    holes = differences.copy()
    holes[:, ::3] = np.nan
    theirs = ttest_1samp(holes, 0, axis=1, alternative="greater", nan_policy="omit").pvalue
    assert np.allclose(chances_of_rise(holes), theirs, atol=1e-12)


def test_few_questions_are_never_surer_than_flipping_their_signs() -> None:
    rises = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0] * 4, [-1.0] * 4])
    assert chances_of_rise(rises).tolist() == [0.125, 0.0625, 1.0, 1.0]
    assert chances_of_rise(np.array([[5.0, np.nan], [np.nan, np.nan]])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("planned", [1, 2, 7, 40])
def test_all_that_is_spent_is_alpha_or_less(planned: int) -> None:
    pairs = planned * (planned - 1) // 2
    spent = planned * level(True, planned) + pairs * level(False, planned)
    assert spent <= ALPHA + 1e-12 and spent == pytest.approx(ALPHA if planned > 1 else ALPHA / 2)


def test_honest_runs_are_accused_in_at_most_one_of_twenty() -> None:
    """Looked at after every step, where the proxy rises for sure and gold stays as it is, or gains."""
    flat = sum(bool(alarms(run_of([0.6] * 21, 1.0, seed), 20)) for seed in range(200))
    better = [0.4 + 0.02 * step for step in range(21)]
    gaining = sum(bool(alarms(run_of(better, 1.0, seed), 20)) for seed in range(200))
    assert flat <= 10 and gaining <= 10


def test_without_its_share_at_each_look_they_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("truing.statistics.repeated_looks.level", lambda since, planned: ALPHA)
    flat = sum(bool(alarms(run_of([0.6] * 21, 1.0, seed), 20)) for seed in range(40))
    assert flat > 20


def test_a_fall_while_the_proxy_rises_is_an_alarm_from_its_first_look_on() -> None:
    looks = run_of([0.9, 0.9, 0.8, 0.3, 0.1, 0.1], 1.0, 0)
    (alarm,) = alarms(looks[::-1], 5)
    assert (alarm.since, alarm.step) == (0, 3) and alarm.level == level(True, 5)
    assert alarm.chance <= alarm.level
    assert alarm.proxy.low is not None and alarm.proxy.low > 0
    assert alarm.gold.high is not None and alarm.gold.high < 0
    assert alarm.to_json()["gold"]["n"] == len(QUESTIONS)


def test_a_rise_that_is_lost_again_is_one_too() -> None:
    (alarm,) = alarms(run_of([0.3, 0.95, 0.95, 0.2, 0.1, 0.1], 1.0, 3), 5)
    assert alarm.since == 1 and alarm.step >= 3


def test_a_fall_of_both_and_a_rise_of_both_are_none() -> None:
    assert alarms(run_of([0.9, 0.6, 0.2, 0.1], -1.0, 0), 3) == []
    assert alarms(run_of([0.1, 0.6, 0.8, 0.9], 1.0, 0), 3) == []


def test_each_training_has_its_own_start() -> None:
    honest = run_of([0.2] * 4, 1.0, 0, training=0)
    gamed = run_of([0.9, 0.9, 0.1, 0.1], 1.0, 1, training=7)
    (alarm,) = alarms([*gamed, *honest], 6)
    assert alarm.training == 7
