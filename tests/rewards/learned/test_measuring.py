"""Figures by hand: accuracy with ties and rankings, calibration, and what is clustered."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from truing.rewards.learned.measuring import accuracy, agreement, counted, difference, figures
from truing.rewards.learned.sample import Sample
from truing.statistics.calibration import calibration_error, reliability
from truing.statistics.judgement_likelihood import Opinion, Ranked, Rated
from truing.statistics.pigeonhole import crossed_estimate, crossed_mean

SCORES = np.array([2.0, 1.0, 1.0, 0.0])


def _sample(*opinions: Opinion) -> Sample:
    names = tuple(f"prompt {n}" for n in range(len(opinions)))
    answers = tuple(((("user", "a?"),), str(n)) for n in range(4))
    people = ("ann",) * len(opinions)
    return Sample(answers, opinions, ("",) * len(opinions), names, people, people, ("a",) * 4)


def test_a_judgement_is_right_by_its_decided_pairs() -> None:
    sample = _sample(
        Ranked((0, 3), (1, 2)),  # right
        Ranked((0, 3), (2, 1)),  # wrong
        Ranked((1, 2), (1, 2)),  # same score: half
        Ranked((0, 3), (1, 1)),  # a tie: no better answer
        Ranked((0, 1, 3), (1, 3, 2)),  # two of three pairs
        Ranked((0, 1, 2), (1, 2, 2)),  # the tie doesn't count: two of two
        Rated(0, 3),
        Rated(1, 4),
    )
    terms = sample.likelihood("half_win")
    said = agreement(sample, terms, SCORES, terms.start)
    assert said.right[:6].tolist() == pytest.approx([1, 0, 0.5, np.nan, 2 / 3, 1], nan_ok=True)
    assert np.isnan(said.right[6:]).all()
    found = accuracy(sample, said.right)
    assert found.value == pytest.approx((1 + 0 + 0.5 + 2 / 3 + 1) / 5)
    assert (found.n, found.unscored) == (5, 3)
    gain = difference(sample, said.right, np.zeros(8))
    assert gain.value == found.value and gain.n == 5


@pytest.mark.parametrize("ties", ["half_win", "rao_kupper"])
def test_what_is_stated_counts_a_tie_as_half_a_win(ties: str) -> None:
    sample = _sample(Ranked((0, 3), (1, 2)), Ranked((0, 3), (1, 1)))
    terms = sample.likelihood(ties)  # type: ignore[arg-type]
    said = agreement(sample, terms, SCORES, terms.start)
    t = float(terms.start[0]) if ties == "rao_kupper" else 0.0
    win, loss = expit(2 - t), expit(-2 - t)
    assert said.pairs.stated == pytest.approx([win + (1 - win - loss) / 2] * 2)
    assert said.pairs.outcome.tolist() == [1.0, 0.5]
    error = figures(sample, terms, said).calibration_error.value
    assert error == pytest.approx(abs(said.pairs.stated[0] - 0.75))


def test_calibration_by_hand() -> None:
    stated, happened = np.array([0.05, 0.15, 0.16, 0.95]), np.array([0, 1, 0, 1])
    bins = reliability(stated, happened)
    assert [(b.weight, b.observed) for b in bins] == [(1, 0), (2, 0.5), (1, 1)]
    assert calibration_error(stated, happened) == pytest.approx((0.05 + 2 * 0.345 + 0.05) / 4)
    weighted = calibration_error(stated, happened, np.array([0.0, 1, 1, 0]))
    assert weighted == pytest.approx(0.345)


def test_a_mean_as_a_statistic_has_the_means_interval() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=60)
    people, questions = (
        generator.integers(0, 4, 60).tolist(),
        generator.integers(0, 15, 60).tolist(),
    )
    mean = crossed_mean(values.tolist(), people, questions)
    ours = crossed_estimate(lambda w: float(w @ values / w.sum()), people, questions)
    assert (ours.value, ours.n) == (pytest.approx(mean.value), mean.n)
    assert (ours.low, ours.high) == (pytest.approx(mean.low), pytest.approx(mean.high))


def test_ratings_of_one_person_are_held_against_each_other() -> None:
    sample = _sample(Rated(0, 6), Rated(1, 2), Rated(3, 2), Rated(2, 7))
    terms = sample.likelihood("half_win")
    found = figures(sample, terms, agreement(sample, terms, SCORES, terms.start)).rating_order
    assert found.value == pytest.approx((2 + 0 + 0.5 + 1) / 5)  # 7 above 6 isn't, 7 and 2 are alike
    assert found.low is None  # four prompts
    alike = _sample(Rated(0, 6), Rated(1, 6))
    terms = alike.likelihood("half_win", like=terms)
    none = figures(alike, terms, agreement(alike, terms, SCORES, terms.start)).rating_order
    assert none.value is None


@pytest.mark.parametrize(("prompts", "low"), [(1, 0.207), (5, 0.566), (30, 0.886)])
def test_no_interval_collapses(prompts: int, low: float) -> None:
    sample = _sample(*[Ranked((0, 3), (1, 2))] * prompts)
    terms = sample.likelihood("half_win")
    said = agreement(sample, terms, SCORES, terms.start)
    found = figures(sample, terms, said)
    assert found.accuracy.value == 1.0
    assert (found.accuracy.low, found.accuracy.high) == (pytest.approx(low, abs=1e-3), 1.0)
    others = (found.calibration_error, found.gain, difference(sample, said.right, said.right))
    assert all(each.value is not None and each.low is None for each in others)


def test_what_no_accuracy_is_of_is_counted() -> None:
    sample = _sample(Ranked((0, 3), (1, 2)), Ranked((0, 3), (1, 1)), Rated(0, 3), Rated(1, 3))
    terms = sample.likelihood("half_win")
    right = agreement(sample, terms, SCORES, terms.start).right
    assert counted(sample, right) == {"judgements": 4, "decided": 1, "ratings": 2, "ties": 1}
