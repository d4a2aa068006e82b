"""Shares over wordings and items: against dense algebra, likelihoods, and simulations."""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from paths import ROOT
from truing.statistics.score_intervals import tango, wilson
from truing.statistics.two_way import _Table, _variances, crossed_difference, crossed_share
from truing.types import Estimate, Unscored

Z = float(norm.ppf(0.975))
WORDINGS = [place // 8 for place in range(104)]
ITEMS = [place % 8 for place in range(104)]
ONE = ["persona"] * 104


def width(estimate: Estimate) -> float:
    assert estimate.low is not None and estimate.high is not None
    return estimate.high - estimate.low


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("interval_coverage")


def test_expected_sums_of_squares_are_those_of_dense_projections() -> None:
    rng = np.random.default_rng(0)
    for size in (30, 120):
        wording = np.concatenate([np.arange(9), rng.integers(0, 9, size)])
        family = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])[wording]
        item = np.concatenate([np.arange(7), rng.integers(0, 7, size + 2)])
        table = _Table.of(family.tolist(), wording.tolist(), item.tolist())
        groups = (table.wording, table.item, table.cell)
        Z_k = [np.eye(int(group.max()) + 1)[group] for group in groups]
        F = np.eye(3)[table.family]
        M = np.eye(len(family)) - F @ np.linalg.pinv(F)
        dense = [[((a.T @ M @ b) ** 2).sum() for b in Z_k] for a in Z_k]
        np.testing.assert_allclose(table.expected(), dense, atol=1e-8)


def test_variances_of_a_whole_table_are_those_of_its_mean_squares() -> None:
    scores = np.random.default_rng(1).random((6, 5))
    scores += np.random.default_rng(2).normal(0, 0.5, (6, 1)) + np.arange(5) / 3
    rows, columns = (1 + 0 * scores).nonzero()
    means, mean = scores.mean(1), scores.mean()
    residual = scores - means[:, None] - scores.mean(0) + mean
    cell = (residual**2).sum() / (5 * 4)
    wording = means.var(ddof=1) - cell / 5
    item = scores.mean(0).var(ddof=1) - cell / 6
    table = _Table.of([0] * 30, rows.tolist(), columns.tolist())
    np.testing.assert_allclose(
        _variances(table, scores.ravel()), [wording / 6, item / 5, cell / 30], rtol=1e-9
    )


def test_variances_are_unbiased_in_an_incomplete_table() -> None:
    rng = np.random.default_rng(3)
    wording = np.repeat(np.arange(20), 3)
    item = np.concatenate([rng.choice(7, 3, replace=False) for _ in range(20)])
    table = _Table.of((wording // 10).tolist(), wording.tolist(), item.tolist())
    parts = []
    for _ in range(400):
        scores = (wording // 10) + rng.normal(0, 1, 20)[wording] + rng.normal(0, 1, 7)[item]
        parts.append(_variances(table, scores + rng.normal(0, 1, 60)))
    weights = [np.sum(np.bincount(g) ** 2) / 60**2 for g in (table.wording, table.item, table.cell)]
    np.testing.assert_allclose(np.mean(parts, axis=0) / weights, 1, atol=0.12)


@pytest.mark.parametrize(
    ("wins", "losses", "size"), [(12, 2, 50), (0, 0, 13), (5, 0, 13), (4, 4, 20)]
)
def test_a_difference_lies_where_the_score_of_the_likelihood_says(
    wins: int, losses: int, size: int
) -> None:
    seen = (wins - losses) / size

    def statistic(tried: float) -> float:
        def unlikelihood(lost: float) -> float:
            terms = (
                (wins, lost + tried),
                (losses, lost),
                (size - wins - losses, 1 - 2 * lost - tried),
            )
            return -sum(count * np.log(max(chance, 1e-300)) for count, chance in terms if count)

        span = max(0.0, -tried), (1 - tried) / 2
        lost = minimize_scalar(
            unlikelihood, bounds=span, method="bounded", options={"xatol": 1e-12}
        )
        return abs(seen - tried) / ((2 * lost.x + tried - tried**2) / size) ** 0.5

    for bound in tango(seen, (wins + losses) / size, size, Z):
        assert statistic(bound) == pytest.approx(Z, rel=1e-4)


def test_a_difference_is_a_share_where_none_is_lost_as_seen_from_above() -> None:
    assert tango(0.3, 0.3, 13, Z)[1] == pytest.approx(wilson(0.3, 13, Z)[1])
    assert tango(0, 0, 13, Z)[1] == pytest.approx(wilson(0, 13, Z)[1])


def test_wordings_that_go_one_way_each_count_once() -> None:
    """Thirteen wordings, four of them always successful: as good as thirteen draws."""
    values = [float(wording < 4) for wording in WORDINGS]
    estimate = crossed_share(values, ONE, WORDINGS, ITEMS)
    low, high = wilson(4 / 13, 13, Z)
    assert (estimate.value, estimate.n) == (pytest.approx(4 / 13), 104)
    assert estimate.low == pytest.approx(low, abs=1e-3)
    assert estimate.high == pytest.approx(high, abs=1e-3)


def test_scores_that_do_not_cluster_count_one_by_one() -> None:
    rng = np.random.default_rng(4)
    draws = (rng.random((40, 104)) < 0.5).astype(float).tolist()
    widths = [width(crossed_share(values, ONE, WORDINGS, ITEMS)) for values in draws]
    clustered, alone = (wilson(0.5, size, Z) for size in (13, 104))
    assert alone[1] - alone[0] < np.mean(widths) < 0.7 * (clustered[1] - clustered[0])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_table_that_never_varies_has_an_interval_all_the_same(value: float) -> None:
    share = crossed_share([value] * 104, ONE, WORDINGS, ITEMS)
    low, high = wilson(value, 13, Z)
    assert (share.low, share.high) == (pytest.approx(max(low, 0)), pytest.approx(min(high, 1)))
    same = crossed_difference([value] * 104, [value] * 104, ONE, WORDINGS, ITEMS)
    assert same.value == 0 and same.high == pytest.approx(-(same.low or 0))
    assert 0.15 < (same.high or 0) < 0.25


def test_families_that_each_go_one_way_are_still_uncertain() -> None:
    values = [float(wording % 2) for wording in WORDINGS]
    split = crossed_share(values, [wording % 2 for wording in WORDINGS], WORDINGS, ITEMS)
    assert split.low is not None and split.low < 0.35


def test_families_are_chosen_and_their_difference_is_no_noise() -> None:
    rng = np.random.default_rng(5)
    families = [int(wording > 5) for wording in WORDINGS]
    values = [float(rng.random() < (0.9 if family else 0.1)) for family in families]
    fixed = crossed_share(values, families, WORDINGS, ITEMS)
    drawn = crossed_share(values, ONE, WORDINGS, ITEMS)
    assert fixed.value == drawn.value
    assert width(fixed) < 0.75 * width(drawn)


def test_equal_names_in_two_families_are_two_wordings() -> None:
    values = [1.0, 0.0, 1.0, 0.0]
    named = crossed_share(values, "aabb", [0, 1, 0, 1], [0, 0, 0, 0])
    assert named == crossed_share(values, "aabb", [0, 1, 2, 3], [0, 0, 0, 0])


def test_what_is_alone_is_no_sample() -> None:
    values = [1.0, 0.0, 1.0, 0.0]
    under_one_wording = crossed_share(values, "aaaa", [0] * 4, [0, 1, 2, 3])
    of_one_item = crossed_share(values, "aaaa", [0, 1, 2, 3], [0] * 4)
    assert under_one_wording.low is not None and of_one_item.low is not None
    a_wording_each = crossed_share(values, "abcd", [0] * 4, [0] * 4)
    assert a_wording_each == of_one_item
    both = crossed_share(values, "aaaa", [0] * 4, [0] * 4)
    assert (both.value, both.low, both.high, both.n) == (0.5, None, None, 4)


def test_what_is_unscored_is_counted_and_pairs_need_both() -> None:
    missing = Unscored("the answer is empty")
    share = crossed_share([1.0, missing, 0.0], "aaa", "xyz", "iii")
    assert (share.value, share.n, share.unscored) == (0.5, 2, 1)
    none = crossed_share([missing], "a", "x", "i")
    assert (none.value, none.low, none.n, none.unscored) == (None, None, 0, 1)
    pairs = crossed_difference([1.0, missing, 0.0], [0.0, 1.0, missing], "aaa", "xyz", "iii")
    assert (pairs.value, pairs.n, pairs.unscored) == (1.0, 1, 2)


@pytest.mark.parametrize("bad", [-0.1, 1.5, float("nan")])
def test_what_is_no_score_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        crossed_share([bad], "a", "x", "i")
    with pytest.raises(ValueError, match="between 0 and 1"):
        crossed_difference([0.5], [bad], "a", "x", "i")
    with pytest.raises(ValueError):
        crossed_share([1.0, 0.0], "a", "x", "i")


@pytest.mark.parametrize("design", ["3 families, 8 items, all", "3 families, 2 to 4 of 12"])
@pytest.mark.parametrize(
    ("shares", "correlation"),
    [((0.15, 0.15), None), ((0.5, 0.5), None), ((0.15, 0.15), 0.8), ((0.15, 0.35), 0.4)],
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(
    coverage: ModuleType, design: str, shares: tuple[float, float], correlation: float | None
) -> None:
    row = coverage.measured(design, shares, 0.03, correlation, 300)
    assert (
        0.95 - 0.038 <= row["coverage"] <= 0.95 + 0.038
    )  # three standard errors of a share of 300


@pytest.mark.parametrize("shares", [(0.15, 0.15), (0.15, 0.35)])
def test_few_wordings_cover_no_less(coverage: ModuleType, shares: tuple[float, float]) -> None:
    for correlation in (None, 0.4):
        row = coverage.measured("1 family, 8 items, all", shares, 0.03, correlation, 300)
        assert row["coverage"] >= 0.95 - 0.038
