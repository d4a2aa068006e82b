"""Distances between opinions, held against popfidelity and SciPy."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy
from scipy.stats import wasserstein_distance

from truing.statistics.opinion_distances import (
    entropy,
    jensen_shannon_similarity,
    modal_share,
    representativeness,
    total_variation,
)

PAIRS = 2500


def pairs() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random pairs of 2 to 11 options, some shares 0, with positions in any order."""
    generator = np.random.default_rng(7)
    drawn = []
    for _ in range(PAIRS):
        options = int(generator.integers(2, 12))
        shares = generator.dirichlet(np.full(options, 0.5), 2)
        shares[generator.random(shares.shape) < 0.1] = 0
        shares[:, 0] += 1 - shares.sum(1)
        drawn.append((*shares, generator.permutation(options) + generator.random(options) / 2))
    return drawn


DRAWN = pairs()


def test_distances_are_scipy_s() -> None:
    apart = []
    for p, q, scale in DRAWN[:500]:
        far = wasserstein_distance(scale, scale, p, q) / np.ptp(scale)
        apart.append(representativeness(p, q, scale.tolist()) - (1 - far))
        # Squared, as the root makes 1e-8 of a rounding of 1e-16 where the two are alike.
        apart.append((1 - jensen_shannon_similarity(p, q)) ** 2 - jensenshannon(p, q, 2) ** 2)
        apart.append(entropy(p) - scipy_entropy(p))
    assert np.abs(apart).max() <= 1e-12


def test_distances_are_popfidelity_s() -> None:
    popfidelity = pytest.importorskip("popfidelity", reason="popfidelity is not installed")
    theirs, distance = popfidelity.alignment, popfidelity.metrics.distance
    apart = []
    for p, q, scale in DRAWN:
        order, ours = np.argsort(scale), representativeness(p, q, scale.tolist())
        represents = theirs.opinionqa_alignment(p[None, order], q[None, order], np.sort(scale))
        apart.append(ours - represents[0])
        apart.append(total_variation(p, q) - distance(p[None], q[None], "total_variation")[0])
        similar = theirs.globalopinionqa_similarity(p[None], q[None])[0]
        apart.append((1 - jensen_shannon_similarity(p, q)) ** 2 - (1 - similar) ** 2)
    assert np.abs(apart).max() <= 1e-12


def test_equal_steps_are_the_sum_of_differences_of_the_cumulative_shares() -> None:
    for p, q, _ in DRAWN[:200]:
        far = np.abs(np.cumsum(p - q)).sum() / (len(p) - 1)
        assert representativeness(p, q, range(len(p))) == pytest.approx(1 - far, abs=1e-12)


def test_identical_is_1_and_opposite_ends_are_0() -> None:
    p, low, high = [0.1, 0.2, 0.7], [1, 0, 0], [0, 0, 1]
    assert representativeness(p, p, [3, 1, 2]) == 1
    assert representativeness(low, high, [1, 2, 3]) == 0
    assert representativeness(low, high, [1, 5, 2]) == pytest.approx(0.75)
    assert jensen_shannon_similarity(p, p) == 1
    assert jensen_shannon_similarity(low, high) == pytest.approx(0)
    assert jensen_shannon_similarity(low, high, np.e) == pytest.approx(1 - np.sqrt(np.log(2)))
    assert total_variation(low, high) == 1
    assert (entropy(low), modal_share(p)) == (0, 0.7)
    assert entropy([0.25] * 4) == pytest.approx(np.log(4))


def test_leading_axes_broadcast() -> None:
    generator = np.random.default_rng(1)
    model, people = generator.dirichlet(np.ones(4), 3), generator.dirichlet(np.ones(4), 5)
    table = representativeness(model[:, None], people, range(4))
    assert table.shape == (3, 5)
    assert table[2, 3] == representativeness(model[2], people[3], range(4))
    assert jensen_shannon_similarity(model[:, None], people).shape == (3, 5)


@pytest.mark.parametrize(
    ("p", "scale", "message"),
    [
        ([0.5, 0.6], [1, 2], "sum to 1"),
        ([1.5, -0.5], [1, 2], "negative"),
        ([float("nan"), 1], [1, 2], "finite"),
        ([0.5, 0.5], [1, 2, 3], "position for each of 2"),
        ([0.5, 0.5], [1, 1], "one position"),
        ([1.0], [1], "two shares"),
    ],
)
def test_what_is_no_distribution_or_scale_is_refused(
    p: list[float], scale: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        representativeness(p, p, scale)
