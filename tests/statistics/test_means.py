"""Means and intervals against SciPy's bootstrap, by hand, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from truing.statistics import means as statistics
from truing.types import Estimate


@pytest.fixture
def scores() -> list[float]:
    return np.random.default_rng(7).beta(2, 3, size=155).tolist()


def test_interval_equals_scipys_percentile_bootstrap(scores: list[float]) -> None:
    ours = statistics.mean(scores, resamples=3000, seed=11)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=3000, method="percentile", rng=np.random.default_rng(11)
    )
    assert ours.value == pytest.approx(np.mean(scores), abs=1e-15)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=1e-12)


def test_drawing_in_chunks_changes_nothing(
    scores: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = statistics.mean(scores, resamples=500)
    monkeypatch.setattr(statistics, "_CHUNK", 7 * len(scores) + 3)
    chunked = statistics.mean(scores, resamples=500)
    assert (chunked.low, chunked.high) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_two_questions_by_hand() -> None:
    # Resamples of (0, 1) have means 0, 1/2, 1 with chances 1/4, 1/2, 1/4: both tails exceed 2.5 %.
    assert statistics.mean([0.0, 1.0]) == Estimate(0.5, 0.0, 1.0, 2)


def test_width_agrees_with_the_normal_theory(scores: list[float]) -> None:
    found = statistics.mean(scores, resamples=10_000)
    assert found.low is not None and found.high is not None
    expected = 2 * 1.96 * np.std(scores) / np.sqrt(len(scores))
    assert found.high - found.low == pytest.approx(expected, rel=0.05)


def test_nothing_scored_is_no_value() -> None:
    assert statistics.mean([], unscored=3) == Estimate(None, None, None, 0, 3)


def test_one_question_has_a_value_and_no_interval() -> None:
    assert statistics.mean([0.4]) == Estimate(0.4, None, None, 1)


def test_questions_all_alike_have_an_interval_of_their_value_exactly() -> None:
    assert statistics.mean([0.1] * 40) == Estimate(
        pytest.approx(0.1), *[pytest.approx(0.1)] * 2, 40
    )
    found = statistics.mean([0.1] * 40)
    assert found.low is not None and found.high is not None and found.value is not None
    assert found.low <= found.value <= found.high


def test_many_means_at_once_are_those_of_each(scores: list[float]) -> None:
    samples = [scores[:40], [], scores[40:80], [0.5], scores[:7], scores[80:120], []]
    assert statistics.means(samples) == [statistics.mean(each) for each in samples]
    assert statistics.means([]) == []


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        statistics.mean([0.5, bad])


def test_equal_calls_are_equal_and_seeds_matter(scores: list[float]) -> None:
    assert statistics.mean(scores) == statistics.mean(scores)
    assert statistics.mean(scores, seed=1) != statistics.mean(scores, seed=2)


def test_paired_difference_pairs_by_question() -> None:
    base = {"a": 0.1, "b": 0.9, "c": 0.5, "only base": 1.0}
    ours = {"c": 0.6, "b": 1.0, "a": 0.2}
    found = statistics.paired_difference(ours, base)
    # Each question gained 0.1: certain, though questions differ by 0.8 among themselves.
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert (found.n, found.unscored) == (3, 1)


def test_paired_difference_does_not_depend_on_the_order(scores: list[float]) -> None:
    ours = {str(index): value for index, value in enumerate(scores)}
    base = {name: value**2 for name, value in ours.items()}
    backwards = dict(reversed(ours.items()))
    assert statistics.paired_difference(ours, base) == statistics.paired_difference(backwards, base)


def test_paired_difference_of_nothing_in_common() -> None:
    found = statistics.paired_difference({"a": 1.0}, {"b": 1.0})
    assert found == Estimate(None, None, None, 0, 2)
