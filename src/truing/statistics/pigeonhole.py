"""The mean of what several people said about several questions, where not everybody was asked all.

People and questions are both samples: others might have been asked, about other things. The bootstrap
redraws both and weighs each judgement by the product of how often its person and its question were
drawn (Owen, 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1(2), section 3). The interval
is never too short by leaving one of the two out; with few people it is wide, and rightly. A lone person
can't be redrawn: then the interval is for other questions put to the same person.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from truing.statistics.means import RESAMPLES, SEED, within
from truing.types import Estimate

_CHUNK = 4_000_000
"""Weights held at once: bounds memory at about 32 MB."""


def crossed_mean(
    values: Sequence[float],
    people: Sequence[Hashable],
    questions: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """The mean over all judgements with its 95 % interval; `n` counts questions.

    One question has no interval, as in `means`. Raises ValueError where a value isn't finite.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values_N).all():
        raise ValueError("a score that isn't finite can't be averaged; leave it out and count it")
    if not len(values_N):
        return Estimate(None, None, None, 0)
    value, n = float(values_N.mean()), len(set(questions))
    if n == 1:
        return Estimate(value, None, None, 1)
    redrawn = _redrawn(values_N, _places(people), _places(questions), resamples, seed)
    return within(value, redrawn, n)


def crossed_estimate(
    statistic: Callable[[NDArray[np.float64]], float],
    people: Sequence[Hashable],
    questions: Sequence[Hashable],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Estimate:
    """A statistic of N judgements, given how often each counts (N,), with its 95 % interval as
    `crossed_mean` has it; one question has none. Draws in which it isn't finite are left out.

    Raises ValueError where there is no judgement.
    """
    if not len(people):
        raise ValueError("a statistic of no judgement is none")
    value, n = statistic(np.ones(len(people))), len(set(questions))
    if n == 1:
        return Estimate(value, None, None, 1)
    generator = np.random.default_rng(seed)
    people_N, questions_N = _places(people), _places(questions)
    weights_RN = (_counts(generator, each, resamples) for each in (questions_N, people_N))
    drawn_RN = np.multiply(*weights_RN)
    redrawn = np.array([statistic(weights) for weights in drawn_RN if weights.any()])
    return within(value, redrawn[np.isfinite(redrawn)], n)


def _places(names: Sequence[Hashable]) -> NDArray[np.int64]:
    """Each name's number, in the order in which they come."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _redrawn(
    values_N: NDArray[np.float64],
    people_N: NDArray[np.int64],
    questions_N: NDArray[np.int64],
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """Means under redrawn people and questions; draws in which nobody said anything are left out."""
    generator = np.random.default_rng(seed)
    size = max(1, _CHUNK // len(values_N))
    means = []
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        weights_RN = _counts(generator, questions_N, rows) * _counts(generator, people_N, rows)
        total_R = weights_RN.sum(1)
        drawn = total_R > 0
        means.append((weights_RN @ values_N)[drawn] / total_R[drawn])
    return np.concatenate(means)


def _counts(
    generator: np.random.Generator, places_N: NDArray[np.int64], rows: int
) -> NDArray[np.float64]:
    """(rows, N): how often the person or the question of each judgement was drawn; a lone one always."""
    count = int(places_N.max()) + 1
    drawn = generator.multinomial(count, np.full(count, 1 / count), rows)
    return drawn[:, places_N].astype(np.float64)
