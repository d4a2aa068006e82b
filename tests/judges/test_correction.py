"""Judged shares corrected for the judge's error: by hand, against Rogan and Gladen, and coverage."""

from __future__ import annotations

import numpy as np
import pytest

from truing.judges.correction import (
    Calibration,
    Judged,
    corrected_difference,
    corrected_mean,
)
from truing.statistics.means import mean


def calibration(score: list[float], label: list[int]) -> Calibration:
    return Calibration(np.array(score), np.array(label), np.arange(len(score)))


def test_with_verdicts_it_is_the_estimator_of_rogan_and_gladen() -> None:
    # Sensitivity 0.9, specificity 0.8; 0.48 judged good: (0.48 + 0.8 - 1) / (0.9 + 0.8 - 1) = 0.4.
    known = calibration([1] * 9 + [0] + [1] * 2 + [0] * 8, [1] * 10 + [0] * 10)
    found = corrected_mean(Judged([1.0] * 48 + [0.0] * 52), known)
    assert found.value == pytest.approx(0.4)
    assert found.n == 100 and found.low is not None and found.high is not None
    assert found.low < 0.4 < found.high


def test_a_judge_without_error_changes_nothing() -> None:
    perfect = calibration([1, 1, 0, 0], [1, 1, 0, 0])
    verdicts = [1.0] * 30 + [0.0] * 10
    found, naive = corrected_mean(Judged(verdicts), perfect), mean(verdicts)
    assert found.value == naive.value == 0.75
    assert found.low == pytest.approx(naive.low, abs=0.03)
    assert found.high == pytest.approx(naive.high, abs=0.03)


def test_certain_answers_are_not_corrected() -> None:
    known = calibration([0.8, 0.6, 0.3, 0.1], [1, 1, 0, 0])  # 0.7 on good, 0.2 on bad answers
    # Five judged at 0.45: (0.45 - 0.2) / 0.5 = 0.5 of them; five certain, four of them good.
    found = corrected_mean(Judged([0.45] * 5, [1, 1, 1, 1, 0]), known, unscored=3)
    assert found.value == pytest.approx((5 * 0.5 + 4) / 10)
    assert (found.n, found.unscored) == (10, 3)
    only = corrected_mean(Judged([], [1.0, 1.0, 0.0]), known)
    assert only.value == pytest.approx(2 / 3)
    unlabelled = corrected_mean(Judged([], [1.0, 1.0, 0.0]), calibration([], []))
    assert unlabelled == only


def test_a_difference_is_that_of_the_corrected_shares_pair_by_pair() -> None:
    known = calibration([0.8, 0.6, 0.3, 0.1] * 20, [1, 1, 0, 0] * 20)
    ours = [0.45] * 10 + [0.55] * 30
    both = [(score, score - 0.1 - 0.01 * (n % 3)) for n, score in enumerate(ours)]
    sides = [{str(n): Judged([pair[side]]) for n, pair in enumerate(both)} for side in (0, 1)]
    sides[0] |= {"sure": Judged([], [1.0]), "alone": Judged([0.9])}
    sides[1] |= {"sure": Judged([], [0.0])}
    found = corrected_difference(sides[0], sides[1], known)
    shares = [
        corrected_mean(Judged([pair[side] for pair in both], [1.0 - side]), known).value
        for side in (0, 1)
    ]
    assert None not in shares and found.value == pytest.approx(shares[0] - shares[1])
    assert found.n == 41 and found.low is not None and found.high is not None
    # Paired: what both sides have in common (0.45 or 0.55) isn't in the interval.
    assert 0.05 < found.high - found.low < 0.15
    blind = calibration([0.5, 0.6, 0.6, 0.5], [1, 1, 0, 0])
    assert corrected_difference(sides[0], sides[1], blind).value is None
    sure = {"sure": Judged([], [1.0]), "too": Judged([], [0.0])}
    assert corrected_difference(sure, sure, calibration([], [])).value == 0.0


def test_what_cannot_be_corrected_is_undefined() -> None:
    blind = calibration([0.5, 0.6, 0.6, 0.5], [1, 1, 0, 0])
    found = corrected_mean(Judged([0.5] * 7), blind, unscored=1)
    assert (found.value, found.low, found.n, found.unscored) == (None, None, 0, 8)
    one_sided = calibration([0.5, 0.6], [1, 1])
    assert corrected_mean(Judged([0.5]), one_sided).value is None
    assert corrected_mean(Judged([]), blind).value is None
    lone = corrected_mean(Judged([0.6]), calibration([0.9, 0.1], [1, 0]))
    assert lone.value == pytest.approx(0.625) and lone.low is None


def test_it_stays_within_0_and_1() -> None:
    known = calibration([0.8, 0.6, 0.3, 0.1], [1, 1, 0, 0])
    assert corrected_mean(Judged([0.9] * 9), known).value == 1.0
    assert corrected_mean(Judged([0.1] * 9), known).value == 0.0


def test_intervals_cover_the_truth_where_uncorrected_ones_do_not() -> None:
    generator = np.random.default_rng(1)

    def scores(label: np.ndarray) -> np.ndarray:
        return generator.beta(np.where(label, 3, 2), np.where(label, 2, 3))

    share, trials, covered, naively = 0.2, 150, 0, 0
    for trial in range(trials):
        question = np.repeat(np.arange(80), 6)
        easy = generator.beta(1, 1.3, 80)  # answers to one question resemble each other
        label = (generator.random(480) < easy[question]).astype(int)
        known = Calibration(scores(label), label, question)
        judged = scores((generator.random(200) < share).astype(int)).tolist()
        found = corrected_mean(Judged(judged), known, resamples=300, seed=trial)
        naive = mean(judged, resamples=300, seed=trial)
        covered += found.low <= share <= found.high
        naively += naive.low <= share <= naive.high
    assert 0.90 <= covered / trials <= 0.99
    assert naively / trials < 0.1
