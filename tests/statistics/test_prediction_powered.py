"""Shares corrected by own labels: against the papers' form, and simulations with a judge that errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from truing.statistics.prediction_powered import LEAST_LABELS, prediction_powered_share
from truing.statistics.score_intervals import wilson
from truing.types import Estimate

Floats = np.ndarray


def judged(rng: np.random.Generator, share: float, answers: int = 450) -> tuple[Floats, Floats]:
    """Labels and a judge's probabilities that lean to 1: of other answers one in four is called so."""
    label_N = (rng.random(answers) < share).astype(float)
    wrong_N = rng.random(answers) < np.where(label_N == 1, 0.05, 0.25)
    return label_N, np.clip(np.abs(label_N - wrong_N) * 0.8 + rng.uniform(0, 0.2, answers), 0, 1)


def corrected(rng: np.random.Generator, share: float, labels: int = 50) -> Estimate:
    label_N, predicted_N = judged(rng, share)
    places = rng.choice(len(label_N), labels, replace=False)
    return prediction_powered_share(predicted_N.tolist(), {int(p): label_N[p] for p in places})


def test_the_estimate_is_the_papers_with_the_unlabelled_apart() -> None:
    rng = np.random.default_rng(0)
    label_N, predicted_N = judged(rng, 0.4, 200)
    labelled, other = slice(0, 60), slice(60, 200)
    estimate = prediction_powered_share(predicted_N.tolist(), {p: label_N[p] for p in range(60)})
    y, f = label_N[labelled], predicted_N[labelled]
    tuned = np.cov(y, f)[0, 1] / np.var(f, ddof=1) / (1 + 60 / 140)
    paper = y.mean() + tuned * (predicted_N[other].mean() - f.mean())
    assert estimate.value == pytest.approx(paper) and estimate.n == 200


def test_a_judge_that_says_nothing_leaves_the_labels_alone() -> None:
    labels = {place: float(place < 15) for place in range(50)}
    estimate = prediction_powered_share([0.3] * 450, labels)
    assert estimate.value == pytest.approx(0.3)
    low, high = wilson(0.3, 50, float(norm.ppf(0.975)))
    assert estimate.low == pytest.approx(low, abs=0.01) and (estimate.high or 0) >= high


def test_a_judge_that_is_always_right_adds_all_answers() -> None:
    truth = [float(place % 3 == 0) for place in range(450)]
    estimate = prediction_powered_share(truth, {place: truth[place] for place in range(50)})
    assert estimate.value == pytest.approx(1 / 3)
    plain = wilson(1 / 3, 450, float(t.ppf(0.975, 48)))
    assert estimate.high == pytest.approx(plain[1], abs=0.006)


def test_labels_that_are_all_alike_count_for_themselves_alone() -> None:
    rng = np.random.default_rng(1)
    estimate = prediction_powered_share(rng.random(450).tolist(), dict.fromkeys(range(50), 0.0))
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(wilson(0.0, 50, float(t.ppf(0.975, 48)))[1])


@pytest.mark.parametrize("share", [0.08, 0.3, 0.6, 0.9])
def test_it_covers_however_the_judge_errs(share: float) -> None:
    rng = np.random.default_rng(2)
    estimates = [corrected(rng, share) for _ in range(1500)]
    inside = [(e.low or 0) <= share <= (e.high or 0) for e in estimates]
    assert 0.93 - 0.006 <= np.mean(inside) <= 0.97 + 0.006  # one standard error of a share of 1500
    values = [e.value for e in estimates if e.value is not None]
    assert np.mean(values) == pytest.approx(share, abs=0.008)
    alone = wilson(share, 50, float(norm.ppf(0.975)))
    half = np.mean([((e.high or 0) - (e.low or 0)) / 2 for e in estimates])
    assert half < (alone[1] - alone[0]) / 2


def test_without_enough_labels_nothing_is_corrected() -> None:
    few = dict.fromkeys(range(LEAST_LABELS - 1), 1.0)
    estimate = prediction_powered_share([0.5] * 30, few, unscored=2)
    assert estimate == Estimate(None, None, None, 0, 32)


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [([0.5], {1: 1.0}), ([1.5], {0: 1.0}), ([0.5], {0: 2.0}), ([], {0: 1.0})],
)
def test_what_cannot_be_is_refused(predicted: list[float], labels: dict[int, float]) -> None:
    with pytest.raises(ValueError):
        prediction_powered_share(predicted, labels)
