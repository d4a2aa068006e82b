"""The mean over people and questions: against enumeration by hand, and its degenerate cases."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from truing.statistics.means import mean
from truing.statistics.pigeonhole import crossed_mean


def enumerated(table: np.ndarray, tail: float) -> tuple[float, float]:
    """The percentile interval of a whole table (people, questions), by going through all draws."""
    people, questions = table.shape
    means = [
        table[list(rows)][:, list(columns)].mean()
        for rows in product(range(people), repeat=people)
        for columns in product(range(questions), repeat=questions)
    ]
    return tuple(np.quantile(means, [tail, 1 - tail], method="inverted_cdf").tolist())  # type: ignore[return-value]


def test_a_whole_table_agrees_with_enumeration() -> None:
    table = np.array([[1.0, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 0.5], [1.0, 1.0, 1.0, 0.0]])
    people, questions = np.indices(table.shape)
    found = crossed_mean(
        table.ravel(), people.ravel().tolist(), questions.ravel().tolist(), resamples=40_000
    )
    low, high = enumerated(table, 0.025)
    assert found.value == pytest.approx(table.mean()) and found.n == 4
    assert found.low == pytest.approx(low, abs=0.03) and found.high == pytest.approx(high, abs=0.03)


def test_judgements_that_are_missing_weigh_nothing() -> None:
    """Two people on two questions, one place empty: the nine kinds of draw by hand."""
    values, people, questions = [1.0, 0.0, 0.0], [1, 1, 2], ["a", "b", "a"]
    found = crossed_mean(values, people, questions, resamples=20_000)
    # Both twice the same person or question: 0 or 1. One of each: 1/3. Person 2 has no b.
    assert found.value == pytest.approx(1 / 3) and (found.low, found.high) == (0.0, 1.0)


def test_a_lone_person_is_no_sample_of_people() -> None:
    values = [float(n % 3 == 0) for n in range(60)]
    alone = crossed_mean(values, ["ada"] * 60, list(range(60)), resamples=20_000)
    plain = mean(values, resamples=20_000)
    assert alone.value == pytest.approx(plain.value) and alone.n == 60
    assert alone.low == pytest.approx(plain.low, abs=0.02)
    assert alone.high == pytest.approx(plain.high, abs=0.02)


def test_what_has_no_interval_or_no_value() -> None:
    assert crossed_mean([], [], []).value is None
    one = crossed_mean([1.0, 0.0], ["ada", "bob"], ["a", "a"])
    assert (one.value, one.low, one.high, one.n) == (0.5, None, None, 1)
    with pytest.raises(ValueError, match="finite"):
        crossed_mean([float("nan")], ["ada"], ["a"])
    twice = [crossed_mean([1, 0, 1], [1, 2, 3], "abc") for _ in range(2)]
    assert twice[0] == twice[1]
