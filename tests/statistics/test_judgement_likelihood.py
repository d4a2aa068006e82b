"""The likelihood of judgements: each kind written out, its optimum by scipy, and what ties are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from truing.statistics.calibration import both_ways, calibration_error
from truing.statistics.judgement_likelihood import (
    Likelihood,
    Opinion,
    Ranked,
    Rated,
    likelihood,
)
from truing.statistics.linear_scores import fitted

Floats = NDArray[np.float64]
RIDGE = 0.3
ANSWERS, WIDTH = 60, 4


def _features() -> Floats:
    return np.random.default_rng(3).normal(size=(ANSWERS, WIDTH))


def _comparisons(tie_at: float, count: int = 300) -> list[Opinion]:
    """Of a taste that a threshold of ties is part of."""
    generator = np.random.default_rng(4)
    score = _features() @ np.array([1.0, -0.5, 0.3, 0.0])
    opinions: list[Opinion] = []
    for _ in range(count):
        a, b = generator.choice(ANSWERS, 2, replace=False).tolist()
        latent = score[a] - score[b] + generator.logistic()
        ranks = (1, 1) if abs(latent) < tie_at else (1, 2) if latent > 0 else (2, 1)
        opinions.append(Ranked((a, b), ranks))
    return opinions


def _ratings(count: int = 200) -> list[Opinion]:
    generator = np.random.default_rng(5)
    score = _features() @ np.array([1.0, -0.5, 0.3, 0.0])
    bounds = [-2.0, -0.5, 0.7, 1.5]
    return [
        Rated(a, int(np.searchsorted(bounds, score[a] + generator.logistic())) + 1)
        for a in generator.integers(0, ANSWERS, count).tolist()
    ]


def _rankings(count: int = 60) -> list[Opinion]:
    generator = np.random.default_rng(6)
    score = _features() @ np.array([1.0, -0.5, 0.3, 0.0])
    opinions: list[Opinion] = []
    for _ in range(count):
        own = generator.choice(ANSWERS, 4, replace=False)
        place = np.argsort(np.argsort(-(score[own] + generator.logistic(size=4)))) + 1
        place[place == 4] = 3  # the last two are a tie
        opinions.append(Ranked(tuple(own.tolist()), tuple(place.tolist())))
    return opinions


def _bradley_terry(score: Floats, _: Floats, opinions: Sequence[Opinion]) -> float:
    """Written out: a tie is half a win of each; a ranking's pairs share a weight of 1."""
    total = 0.0
    for each in opinions:
        assert isinstance(each, Ranked)
        pairs = list(combinations(range(len(each.answers)), 2))
        for i, j in pairs:
            chance = expit(score[each.answers[i]] - score[each.answers[j]])
            won = (np.sign(each.ranks[j] - each.ranks[i]) + 1) / 2
            total += (won * np.log(chance) + (1 - won) * np.log(1 - chance)) / len(pairs)
    return total


def _rao_kupper(score: Floats, thresholds: Floats, opinions: Sequence[Opinion]) -> float:
    """Rao and Kupper's equation, with theta and worths of their own."""
    theta, worth, total = np.exp(thresholds[0]), np.exp(score), 0.0
    for each in opinions:
        assert isinstance(each, Ranked)
        a, b = (worth[answer] for answer in each.answers)
        if each.ranks[0] == each.ranks[1]:
            total += np.log(a * b * (theta**2 - 1) / ((a + theta * b) * (b + theta * a)))
        else:
            won, lost = (a, b) if each.ranks[0] < each.ranks[1] else (b, a)
            total += np.log(won / (won + theta * lost))
    return float(total)


def _ordinal(score: Floats, thresholds: Floats, opinions: Sequence[Opinion]) -> float:
    bounds = np.array([-np.inf, *thresholds, np.inf])
    total = 0.0
    for each in opinions:
        assert isinstance(each, Rated)
        below, above = bounds[each.level - 1] - score[each.answer], bounds[each.level]
        total += np.log(expit(above - score[each.answer]) - expit(below))
    return float(total)


KINDS: dict[str, tuple[Callable[[], list[Opinion]], str, Callable[..., float], int]] = {
    "comparisons": (lambda: _comparisons(0.0), "half_win", _bradley_terry, 0),
    "ties as half wins": (lambda: _comparisons(0.9), "half_win", _bradley_terry, 0),
    "Rao-Kupper": (lambda: _comparisons(0.9), "rao_kupper", _rao_kupper, 1),
    "rankings": (_rankings, "half_win", _bradley_terry, 0),
    "ratings": (_ratings, "half_win", _ordinal, 4),
}


def _optimum(
    opinions: list[Opinion], equation: Callable[..., float], begin: Floats
) -> tuple[Floats, float]:
    """scipy's, from the equation written out alone."""
    features = _features()

    def loss(point: Floats) -> float:
        weights, thresholds = point[:WIDTH], point[WIDTH:]
        if (np.diff(thresholds) <= 0).any() or (equation is _rao_kupper and thresholds[0] <= 0):
            return np.inf
        likely = equation(features @ weights, thresholds, opinions)
        return RIDGE / 2 * float(weights @ weights) - likely

    point = begin
    for _ in range(3):  # begun anew, lest the simplex has shrunk on the way
        found = minimize(
            loss,
            point,
            method="Nelder-Mead",
            options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000, "adaptive": True},
        )
        point = found.x
    return np.asarray(point), float(found.fun)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_scipys_optimum_of_its_equation(kind: str) -> None:
    make, ties, equation, thresholds = KINDS[kind]
    opinions = make()
    terms = likelihood(opinions, ANSWERS, ties)  # type: ignore[arg-type]
    ours = fitted(terms, _features(), RIDGE, hold=0)
    assert len(ours.thresholds) == thresholds
    wanted, least = _optimum(opinions, equation, np.concatenate([np.zeros(WIDTH), terms.start]))
    score = _features() @ ours.weights
    assert -equation(score, ours.thresholds, opinions) == pytest.approx(
        terms.losses(score, ours.thresholds).sum(), abs=1e-9
    )
    own = RIDGE / 2 * float(ours.weights @ ours.weights) - equation(
        score, ours.thresholds, opinions
    )
    assert own == pytest.approx(least, abs=1e-6)
    assert np.concatenate([ours.weights, ours.thresholds]) == pytest.approx(wanted, abs=1e-6)


def test_kinds_add_up_to_one_loss() -> None:
    kinds = [_comparisons(0.9), _rankings(), _ratings()]
    mixed = likelihood([each for kind in kinds for each in kind], ANSWERS)
    score = _features() @ np.array([0.4, 0.1, -0.2, 0.3])
    alone = [likelihood(kind, ANSWERS) for kind in kinds]
    wanted = np.concatenate([terms.losses(score, terms.start) for terms in alone])
    assert mixed.losses(score, mixed.start) == pytest.approx(wanted, abs=1e-12)


def test_a_ranking_weighs_as_one_judgement() -> None:
    score = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    terms = likelihood([Ranked(tuple(range(6)), (1, 2, 3, 4, 5, 6)), Ranked((0, 1), (1, 2))], 6)
    assert terms.losses(score, terms.start) == pytest.approx([np.log(2), np.log(2)])


def test_weights_of_judgements_are_repetitions() -> None:
    opinions = [*_comparisons(0.9, 40), *_ratings(40)]
    times = np.random.default_rng(0).integers(0, 3, len(opinions)).astype(float)
    again = [each for each, n in zip(opinions, times, strict=True) for _ in range(int(n))]
    terms = likelihood(opinions, ANSWERS, "rao_kupper")
    weighted = fitted(terms.weighted(times), _features(), RIDGE)
    repeated = fitted(likelihood(again, ANSWERS, "rao_kupper", like=terms), _features(), RIDGE)
    assert weighted.weights == pytest.approx(repeated.weights, abs=1e-7)
    assert weighted.thresholds == pytest.approx(repeated.thresholds, abs=1e-7)


def test_a_fold_without_ties_or_a_level_still_has_its_thresholds() -> None:
    whole = likelihood([*_comparisons(0.9), *_ratings()], ANSWERS, "rao_kupper")
    opinions = [
        *_comparisons(0.0),
        *(r for r in _ratings() if isinstance(r, Rated) and r.level != 3),
    ]
    part = fitted(likelihood(opinions, ANSWERS, "rao_kupper", like=whole), _features(), RIDGE)
    assert np.isfinite(part.thresholds).all() and part.thresholds[0] > 0
    assert (np.diff(part.thresholds[1:]) > 0).all()
    assert np.isfinite(whole.losses(_features() @ part.weights, part.thresholds)).all()


def test_sparse_features_give_what_dense_ones_give() -> None:
    from scipy import sparse

    terms = likelihood(_comparisons(0.9), ANSWERS)
    dense = fitted(terms, _features(), RIDGE)
    assert fitted(terms, sparse.csr_matrix(_features()), RIDGE).weights == pytest.approx(
        dense.weights, abs=1e-9
    )


def test_a_rating_that_nobody_gave_before_counts_as_the_nearest() -> None:
    like = likelihood([Rated(0, 2), Rated(1, 4), Rated(2, 5)], 3)
    terms: Likelihood = likelihood([Rated(0, 1), Rated(0, 7)], 3, like=like)
    score = np.array([0.3, 0.0, 0.0])
    chances = [expit(like.start[0] - 0.3), 1 - expit(like.start[1] - 0.3)]
    assert np.exp(-terms.losses(score, like.start)) == pytest.approx(chances)


@pytest.mark.parametrize("opinions", [[], [Rated(0, 3), Rated(1, 3)]])
def test_nothing_that_prefers_an_answer_is_refused(opinions: list[Opinion]) -> None:
    with pytest.raises(ValueError, match="nothing prefers"):
        likelihood(opinions, 2)


def _error_with(ties: str) -> tuple[float, float]:
    """Calibration error on new comparisons of which 31 % are ties, and the share of ties."""
    generator = np.random.default_rng(11)
    features = generator.normal(size=(400, 3))
    score = features @ np.array([1.2, -0.7, 0.4])
    pairs = np.array([generator.choice(400, 2, replace=False) for _ in range(8000)])
    latent = score[pairs[:, 0]] - score[pairs[:, 1]] + generator.logistic(size=len(pairs))
    won = np.where(np.abs(latent) < 1.11, 0.5, (latent > 0).astype(float))
    train, test = np.arange(4000), np.arange(4000, 8000)
    ranks = {1.0: (1, 2), 0.0: (2, 1), 0.5: (1, 1)}
    opinions: list[Opinion] = [
        Ranked((int(pairs[n, 0]), int(pairs[n, 1])), ranks[float(won[n])])
        for n in train
        if ties != "dropped" or won[n] != 0.5
    ]
    kind = "rao_kupper" if ties == "rao_kupper" else "half_win"
    ours = fitted(likelihood(opinions, 400, kind), features, 0.1)  # type: ignore[arg-type]
    apart = (features[pairs[test, 0]] - features[pairs[test, 1]]) @ ours.weights
    tie = ours.thresholds[0] if kind == "rao_kupper" else 0.0
    stated = (expit(apart - tie) + expit(apart + tie)) / 2
    error = calibration_error(*both_ways(stated, won[test], np.ones(len(test))))
    return error, float((won == 0.5).mean())


def test_ties_keep_it_calibrated_and_dropping_them_does_not() -> None:
    half, share = _error_with("half_win")
    assert share == pytest.approx(0.31, abs=0.015)
    assert half <= 0.03
    assert _error_with("rao_kupper")[0] <= 0.03
    assert _error_with("dropped")[0] == pytest.approx(0.08, abs=0.025)
