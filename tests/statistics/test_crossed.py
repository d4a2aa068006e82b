"""Spread across wordings, and order of candidates, against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from tables import Floats, covers, table
from truing.statistics import crossed
from truing.statistics.crossed import order, spread
from truing.types import Estimate


def test_two_wordings_and_two_questions_by_hand() -> None:
    # Means 0.25 and 0.75: their standard deviation is 0.5 / sqrt(2). Residuals are all 0.25 in size,
    # so that the interaction's mean square is 4 * 0.0625 / 1 = 0.25, and 0.25 / 2 comes off 0.125.
    found = spread(np.array([[0.0, 0.5], [1.0, 0.5]]))
    assert found.seen == pytest.approx(0.5 / 2**0.5)
    assert found.deviation == Estimate(pytest.approx(0.0, abs=1e-9), None, None, 2)
    assert (found.best.place, found.best.value) == (1, 0.75)
    assert (found.worst.place, found.worst.value) == (0, 0.25)
    assert found.mean.value == 0.5


def test_the_redrawn_tables_are_those_that_indexing_gives() -> None:
    scores = np.random.default_rng(3).random((5, 7))
    rows, columns = np.array([[2, 0, 1, 1, 1]]), np.array([[0, 1, 2, 0, 1, 3, 0]])
    mean, between, noise, _ = crossed._means_and_variances(
        scores, rows.astype(float), columns.astype(float)
    )
    drawn = np.repeat(np.repeat(scores, rows[0], axis=0), columns[0], axis=1)
    means = drawn.mean(1)
    residual = drawn - means[:, None] - drawn.mean(0) + drawn.mean()
    assert mean[0] == pytest.approx(drawn.mean())
    assert between[0] == pytest.approx(means.var(ddof=1))
    assert noise[0] == pytest.approx((residual**2).sum() / (4 * 6) / 7)


def test_the_deviation_is_that_of_wordings_not_of_questions() -> None:
    rng = np.random.default_rng(0)
    found = [spread(table(rng, (24, 80), 0.05, 0.4, 0.3), resamples=20) for _ in range(200)]
    squares = np.mean([f.deviation.value**2 for f in found if f.deviation.value is not None])
    assert squares == pytest.approx(0.05**2, rel=0.1)
    seen = np.mean([f.seen**2 for f in found if f.seen is not None])
    assert seen == pytest.approx(0.05**2 + 0.3**2 / 80, rel=0.1)  # what is seen is too much


@pytest.mark.parametrize(
    ("shape", "wording", "stated"),
    [((20, 120), 0.1, 0.95), ((28, 120), 0.03, 1.0), ((10, 120), 0.1, 0.95)],
)
def test_intervals_cover_the_truth_about_as_often_as_they_say(
    shape: tuple[int, int], wording: float, stated: float
) -> None:
    rng = np.random.default_rng(5)
    found = [
        spread(table(rng, shape, wording, 0.35, 0.3), resamples=400, seed=n) for n in range(150)
    ]
    # What docs/truthfulness.md states, less three standard errors of a share of 150.
    assert np.mean([covers(f.deviation, wording) for f in found]) >= stated - 0.055
    assert np.mean([covers(f.mean, 0.4) for f in found]) >= 0.95 - 0.055


def test_without_difference_between_wordings_nothing_is_claimed() -> None:
    same = np.tile(np.random.default_rng(1).random(30), (6, 1))
    found = spread(same)
    assert (found.deviation.value, found.seen) == (
        pytest.approx(0.0, abs=1e-8),
        pytest.approx(0.0),
    )
    assert found.best.place == 0


def test_the_best_of_many_equals_is_no_better_elsewhere() -> None:
    rng = np.random.default_rng(2)
    found = [spread(table(rng, (20, 60), 0.0, 0.3, 0.4), resamples=100) for _ in range(60)]
    inside = np.mean([f.best.value - f.mean.value for f in found if f.mean.value is not None])
    outside = np.mean(
        [f.best.elsewhere - f.mean.value for f in found if f.best.elsewhere and f.mean.value]
    )
    assert inside > 0.07  # the winner's curse: about 1.9 standard errors of 0.4 / sqrt(60)
    assert abs(outside) < inside / 3
    assert np.mean([f.best.again for f in found]) < 0.6


def test_a_wording_that_is_better_stays_so() -> None:
    scores = table(np.random.default_rng(4), (8, 100), 0.0, 0.3, 0.1)
    scores[5] += 0.3
    found = spread(scores)
    assert found.best.place == 5 and found.best.again == 1.0
    assert found.best.elsewhere == pytest.approx(found.best.value, abs=0.02)


def test_an_order_that_turns_with_the_wording_is_seen() -> None:
    rng = np.random.default_rng(6)
    ours, theirs = (table(rng, (12, 200), 0.0, 0.3, 0.2) for _ in range(2))
    ours[:8] += 0.2
    theirs[8:] += 0.2
    found = order(ours, theirs)
    assert found.share.value == pytest.approx(8 / 12)
    assert all(d.low is not None and d.low > 0 for d in found.differences[:8])
    assert all(d.high is not None and d.high < 0 for d in found.differences[8:])
    assert found.deviation.low is not None and found.deviation.low > 0.1


def test_chance_alone_seldom_makes_a_clear_difference() -> None:
    rng = np.random.default_rng(7)
    false = 0
    for number in range(150):
        ours, theirs = (table(rng, (20, 80), 0.0, 0.3, 0.3) for _ in range(2))
        found = order(ours, theirs, resamples=400, seed=number)
        false += any(
            d.low is not None and d.high is not None and (d.low > 0 or d.high < 0)
            for d in found.differences
        )
    assert false / 150 <= 0.05 + 0.055  # three standard errors; one by one it would be about 0.6


def test_questions_that_are_easy_for_both_cancel() -> None:
    easy = np.random.default_rng(8).normal(0.5, 0.4, (1, 50))
    ours = np.repeat(easy + 0.1, 4, axis=0)
    found = order(ours, np.repeat(easy, 4, axis=0))
    assert found.share == Estimate(1.0, 1.0, 1.0, 4)
    assert all(d.low == pytest.approx(0.1) for d in found.differences)


def test_the_same_seed_gives_the_same_and_pieces_draw_afresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = table(np.random.default_rng(9), (6, 40), 0.1, 0.3, 0.2)
    first = spread(scores, resamples=300, seed=3)
    assert spread(scores, resamples=300, seed=3) == first
    assert spread(scores, resamples=300, seed=4) != first
    monkeypatch.setattr(crossed, "_CHUNK", 46 * 100)
    pieces = crossed._draw(scores, 300, 3)
    assert len(np.unique(pieces.means)) > 290
    assert np.std(pieces.means) == pytest.approx(
        np.std(crossed._draw(scores, 300, 5).means), rel=0.2
    )


@pytest.mark.parametrize("bad", [np.zeros((1, 9)), np.zeros((9, 1)), np.full((3, 3), np.nan)])
def test_what_has_no_spread_is_refused(bad: Floats) -> None:
    with pytest.raises(ValueError, match=r"at least two|finite"):
        spread(bad)
