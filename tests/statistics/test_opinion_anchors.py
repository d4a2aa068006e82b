"""Anchors, held against enumeration; corrections and separation, against simulations."""

import numpy as np
import pytest
from scipy.stats import multinomial

from truing.statistics.opinion_anchors import (
    best_constant,
    corrected_representativeness,
    everybody_without,
    noise_floor,
    people_elsewhere,
    permuted_questions,
    separated,
    uniform,
)
from truing.statistics.opinion_consistency import Consistency, consistency
from truing.statistics.opinion_distances import representativeness
from truing.types import Unscored


def test_noise_floor_is_the_expectation_over_all_samples() -> None:
    people, scale, n = np.array([0.2, 0.5, 0.3]), [1.0, 4.0, 2.0], 7
    samples = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    shares = np.array(samples) / n
    weights = multinomial.pmf(samples, n, people)
    expected = (weights * representativeness(shares, people, scale)).sum()
    assert noise_floor(people, n, scale) == pytest.approx(expected, abs=1e-12)
    assert noise_floor([1.0, 0.0], 5, [0, 1]) == 1
    assert noise_floor(people, 10_000, scale) > 0.99


@pytest.mark.parametrize(("gap", "left"), [(0.0, 0.5), (0.3, 0.06), (1.0, 0.06)])
def test_correction_takes_most_of_the_bias_off(gap: float, left: float) -> None:
    """`left`: the most that may be left of the bias that shares have which aren't corrected, where the
    model is exactly right, and in parts of the bias there elsewhere."""
    generator, n, scale = np.random.default_rng(3), 60, range(4)
    people, other = generator.dirichlet(np.ones(4), (2, 100))
    model = (1 - gap) * people + gap * other
    drawn = generator.multinomial(n, people, (300, 100)) / n
    truth = representativeness(model, people, scale).mean()
    raw = representativeness(model, drawn, scale).mean() - truth
    at_0 = noise_floor(people, n, scale).mean() - 1
    corrected = corrected_representativeness(model, drawn, n, scale).mean() - truth
    assert raw < 0
    assert abs(corrected) < left * abs(at_0)
    assert abs(corrected) < abs(raw)


def test_correction_is_nothing_with_many_people() -> None:
    model, people = [0.2, 0.3, 0.5], [0.6, 0.2, 0.2]
    corrected = corrected_representativeness(model, people, 1e9, [3, 1, 2])
    assert corrected == pytest.approx(representativeness(model, people, [3, 1, 2]), abs=1e-8)


def test_constants_and_people_elsewhere() -> None:
    people = [[0.8, 0.2, 0.0], [0.4, 0.4, 0.2]]
    assert best_constant(people, [1, 2, 3]) == (0, pytest.approx((0.9 + 0.6) / 2))
    each = float(representativeness(people[0], people[1], [1, 2, 3]))
    assert people_elsewhere(people, [1, 2, 3]) == pytest.approx([each, each])
    assert np.isnan(people_elsewhere(people[:1], [1, 2, 3])).all()
    assert uniform(4).tolist() == [0.25] * 4


def test_permuted_questions_match_another_of_the_same_kind() -> None:
    kinds = [2, 4, 4, 2, 4, 5]
    matched = permuted_questions(kinds, 50, seed=1)
    assert (matched[:, 5] == -1).all()
    for row in matched[:, :5]:
        assert sorted(row) == [0, 1, 2, 3, 4]
        assert all(kinds[each] == kinds[place] for place, each in enumerate(row))
        assert all(each != place for place, each in enumerate(row))
    assert len({tuple(row) for row in matched}) == 2  # all derangements of this kind
    assert (matched == permuted_questions(kinds, 50, seed=1)).all()


def test_everybody_is_without_the_group_itself() -> None:
    groups = {"a": ([1.0, 0.0], 10.0), "b": ([0.0, 1.0], 30.0), "c": ([0.5, 0.5], 10.0)}
    assert everybody_without(groups, "a") == pytest.approx([0.125, 0.875])
    unknown = {**groups, "c": ([0.5, 0.5], None)}
    assert everybody_without(unknown, "a") == pytest.approx([0.25, 0.75])
    assert everybody_without({"a": ([1.0, 0.0], 10.0)}, "a") is None


def test_only_groups_that_can_be_told_apart_are_ranked() -> None:
    generator = np.random.default_rng(2)
    common = generator.normal(0.7, 0.2, 60)
    scores = {
        "same": common + generator.normal(0, 0.05, 60),
        "alike": common + generator.normal(0, 0.05, 60),
        "better": common + 0.1 + generator.normal(0, 0.05, 60),
    }
    scores["better"][3] = np.nan
    pairs = separated({name: each.tolist() for name, each in scores.items()}, resamples=500)
    assert set(pairs) == {("better", "same"), ("better", "alike")}
    assert separated({"one": [0.5, 0.4]}) == ()
    assert separated({"one": [0.5], "two": [0.1]}) == ()


def test_groups_that_are_alike_are_seldom_separated() -> None:
    generator, wrong = np.random.default_rng(4), 0
    for _ in range(100):
        scores = {str(place): generator.normal(0, 1, 30).tolist() for place in range(6)}
        wrong += bool(separated(scores, resamples=300))
    assert wrong <= 11  # 5 % of 100, and the chance of more than 11 is below 1 %


def test_consistency_counts_topics_with_the_same_best_group() -> None:
    topics = ["a"] * 10 + ["b"] * 10 + ["few"] * 3 + [""] * 4
    scores = {"x": [0.9] * 10 + [0.4] * 17, "y": [0.1] * 10 + [0.5] * 17}
    result = consistency(scores, topics, permutations=200)
    assert isinstance(result, Consistency)
    assert (result.best, result.share) == ("x", 0.5)
    assert result.by_topic == {"a": "x", "b": "y"}
    assert result.left_out == ("few",)
    assert result.chance > 0.9  # topics at random nearly always have x, and the real ones don't
    assert result.p_value > 0.9
    assert result == consistency(scores, topics, permutations=200)


def test_consistency_of_noise_is_its_chance_level() -> None:
    generator, shares, chances = np.random.default_rng(5), [], []
    topics = [str(place // 10) for place in range(100)]
    for _ in range(40):
        scores = {name: generator.normal(0, 1, 100).tolist() for name in "abcd"}
        result = consistency(scores, topics, permutations=50)
        assert isinstance(result, Consistency)
        shares.append(result.share)
        chances.append(result.chance)
    assert np.mean(shares) == pytest.approx(np.mean(chances), abs=0.06)
    assert np.mean(chances) > 0.27  # above one in four: the best overall is best more often


def test_consistency_needs_topics_and_groups() -> None:
    nan = float("nan")
    few = consistency({"x": [1.0] * 12, "y": [0.0] * 12}, ["a"] * 12)
    assert isinstance(few, Unscored) and "1 topic(s)" in few.reason
    assert isinstance(consistency({"x": [1.0] * 20}, ["a"] * 10 + ["b"] * 10), Unscored)
    holes = {"x": [1.0] * 20, "y": [nan] + [0.0] * 19}
    assert isinstance(consistency(holes, ["a"] * 10 + ["b"] * 10), Unscored)
