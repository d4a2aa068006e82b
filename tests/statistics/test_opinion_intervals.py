"""Intervals of representativeness: edges, and how often they cover (benchmarks/opinion_coverage.py has
more)."""

import numpy as np
import pytest

from truing.statistics.opinion_distances import representativeness
from truing.statistics.opinion_intervals import (
    effective_n,
    multinomial_interval,
    respondents_by_questions,
)

SCALE = (0.0, 1.0, 2.0)


def test_effective_n_is_kish_s() -> None:
    assert effective_n([3.0] * 7) == pytest.approx(7)
    assert effective_n([2.0, 1.0, 1.0]) == pytest.approx(16 / 6)
    assert effective_n([0.0, 0.0]) == 0 == effective_n([])


def test_edges() -> None:
    none = multinomial_interval([], [], [], [])
    assert (none.value, none.n) == (None, 0)
    one = multinomial_interval([[1, 0, 0]], [[0, 0, 1]], [50], [SCALE])
    assert (one.low, one.n) == (None, 1)
    answers = np.array([[0, -1], [2, -1], [1, -1]])
    lone = respondents_by_questions([[1, 0, 0]] * 2, answers, [SCALE] * 2, resamples=20)
    assert (lone.n, lone.unscored, lone.low) == (1, 1, None)
    nobody = respondents_by_questions([[1, 0, 0]] * 2, answers, [SCALE] * 2, [0, 0, 0])
    assert (nobody.value, nobody.unscored) == (None, 2)


def test_equal_data_have_equal_intervals_and_weights_count() -> None:
    generator = np.random.default_rng(0)
    answers = generator.integers(0, 3, (40, 12))
    model = list(generator.dirichlet(np.ones(3), 12))
    alike = [
        respondents_by_questions(model, answers, [SCALE] * 12, weights, resamples=50)
        for weights in (None, np.full(40, 2.5))
    ]
    assert alike[0].value == pytest.approx(alike[1].value)
    assert alike[0].low == pytest.approx(alike[1].low)
    heavy = np.where(answers[:, 0] == 0, 5.0, 1.0)
    weighted = respondents_by_questions(model, answers, [SCALE] * 12, heavy, resamples=50)
    assert weighted.value != pytest.approx(alike[0].value)


@pytest.mark.parametrize("people_alike", [False, True])
def test_intervals_cover_the_truth(people_alike: bool) -> None:
    generator, covered, simulations, questions, n = np.random.default_rng(1), 0, 60, 20, 40
    people = generator.dirichlet(np.ones(3), 5000)
    model = (people + generator.dirichlet(np.ones(3), 5000)) / 2
    truth = float(representativeness(model, people, SCALE).mean())
    for _ in range(simulations):
        chosen = generator.integers(0, 5000, questions)
        ours, scales = list(model[chosen]), [SCALE] * questions
        if people_alike:
            uniforms = generator.random((n, questions, 1))
            answers = (uniforms > np.cumsum(people[chosen], 1)[:, :-1]).sum(-1)
            estimate = respondents_by_questions(ours, answers, scales, resamples=100)
        else:
            shares = list(generator.multinomial(n, people[chosen]) / n)
            sizes = [float(n)] * questions
            estimate = multinomial_interval(ours, shares, sizes, scales, resamples=100)
        assert estimate.low is not None and estimate.high is not None
        covered += estimate.low <= truth <= estimate.high
    assert covered / simulations >= 0.88
