"""What a representativeness is to be held against: answers that know nothing, and people themselves.

0.8 says little: on most questions the uniform distribution has that, too. So each figure stands beside
those of uniform answers, of one option always, of the same answers matched with other questions, of
people elsewhere, and of as many people of the same group as were asked (the noise floor).

A group's shares are those of n people, and the distance from a sample is greater than from the group: at
each threshold E|P - Q_n| > |P - Q|, the more so the fewer people. `corrected_representativeness` takes
that bias off, threshold by threshold, by the iterated bootstrap in its normal form (Hall, 1992, The
Bootstrap and Edgeworth Expansion, section 1.4). |d| has no unbiased estimator: where model and group
agree exactly, 0.35 of a standard error is left of a bias of 0.80; from two standard errors on, 0.02.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlogy

from truing.statistics.means import RESAMPLES, SEED
from truing.statistics.opinion_distances import Floats, representativeness

ITERATIONS = 3
"""Of the bootstrap: more leave less bias, with more variance."""
_REACH, _STEP = 8.0, 0.01  # standard errors


def uniform(options: int) -> Floats:
    """The distribution of who answers by place, or by chance, once orders are balanced."""
    return np.full(options, 1 / options)


def constants(options: int) -> Floats:
    """(K, K): for each option the distribution of who always says it."""
    return np.eye(options)


def best_constant(people: ArrayLike, scale: Sequence[float]) -> tuple[int, float]:
    """The one option that would represent these groups (G, K) best, and how well, on the mean over
    groups: the most that a candidate without any spread can reach. Of equals the first."""
    people_GK = np.atleast_2d(np.asarray(people, dtype=np.float64))
    options = people_GK.shape[-1]
    means_K = representativeness(constants(options)[:, None], people_GK[None], scale).mean(1)
    place = int(means_K.argmax())
    return place, float(means_K[place])


def people_elsewhere(people: ArrayLike, scale: Sequence[float]) -> Floats:
    """(G,): how well the other groups (G, K) represent each, on their mean. NaN for a lone group."""
    people_GK = np.asarray(people, dtype=np.float64)
    groups = len(people_GK)
    if groups < 2:
        return np.full(groups, np.nan)
    each_GG = representativeness(people_GK[:, None], people_GK[None], scale)
    return np.asarray((each_GG.sum(1) - 1.0) / (groups - 1))


def permuted_questions(
    kinds: Sequence[Hashable], draws: int = 20, seed: int = SEED
) -> NDArray[np.int64]:
    """(draws, Q): for each question another one of its kind (as many options), whose answers it gets.

    Nobody keeps their own: a seeded order of each kind, turned by a seeded step. -1 where a question is
    the only one of its kind.
    """
    generator = np.random.default_rng(seed)
    places: dict[Hashable, list[int]] = {}
    for place, kind in enumerate(kinds):
        places.setdefault(kind, []).append(place)
    matched = np.full((draws, len(kinds)), -1, dtype=np.int64)
    for alike in places.values():
        if len(alike) < 2:
            continue
        for row in matched:
            order = generator.permutation(alike)
            row[order] = np.roll(order, int(generator.integers(1, len(alike))))
    return matched


def noise_floor(people: ArrayLike, n: ArrayLike, scale: Sequence[float]) -> Floats:
    """The representativeness that n people drawn from a group (..., K) have for it, on average.

    Exact for whole n, by de Moivre's mean deviation of a binomial at each threshold. What reaches it
    can't be told from the group with so many people.
    """
    thresholds, steps = _thresholds(people, scale)
    sizes = np.asarray(n, dtype=np.float64)[..., None]
    return np.asarray(1.0 - (_mean_deviation(thresholds, sizes) * steps).sum(-1))


def corrected_representativeness(
    model: ArrayLike, people: ArrayLike, n: ArrayLike, scale: Sequence[float]
) -> Floats:
    """How well a model represents the group from which n people gave these shares (..., K).

    The shares' own noise is taken off; a value a little above 1 can come of it, and belongs into a mean.
    """
    ours, steps = _thresholds(model, scale)
    theirs, _ = _thresholds(people, scale)
    sizes = np.asarray(n, dtype=np.float64)[..., None]
    smoothed = (theirs * sizes + 0.5) / (sizes + 1)
    error = np.sqrt(smoothed * (1 - smoothed) / sizes)
    apart = error * _unfolded(np.abs(ours - theirs) / error)
    return np.asarray(1.0 - (apart * steps).sum(-1))


def everybody_without(
    groups: Mapping[str, tuple[ArrayLike, float | None]], left_out: str
) -> Floats | None:
    """The pooled shares of a dimension's groups without one, weighted by how many people they are.

    A group is compared with people of whom it is no part. Groups count alike where the number of any
    isn't known. None where nobody else is there.
    """
    others = [(shares, n) for name, (shares, n) in groups.items() if name != left_out]
    if not others:
        return None
    sizes = [n for _, n in others if n is not None]
    weights = sizes if len(sizes) == len(others) else [1.0] * len(others)
    shares_GK = np.array([np.asarray(shares, dtype=np.float64) for shares, _ in others])
    return np.asarray(np.average(shares_GK, axis=0, weights=weights))


def separated(
    scores: Mapping[str, Sequence[float]],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[tuple[str, str], ...]:
    """(better, worse) of each two groups that can be told apart; no other order may be shown.

    `scores` has one value a question for each group (NaN where it has none). Pairs are compared on the
    questions that both have; intervals hold for all pairs at once: by the greatest studentised deviation
    over redrawn questions (Romano and Wolf, 2005, Econometrica 73(4)). Raises ValueError where groups
    have different numbers of questions.
    """
    pairs = [
        (first, second, _differences(scores, first, second))
        for place, first in enumerate(scores)
        for second in list(scores)[place + 1 :]
    ]
    known = [pair for pair in pairs if np.isfinite(pair[2]).sum() > 1]
    if not known:
        return ()
    counts_RQ = _redrawn(len(known[0][2]), resamples, seed)
    greatest_R = np.zeros(resamples)
    for _, _, values in known:
        greatest_R = np.maximum(greatest_R, _studentised(values, counts_RQ))
    quantile = float(np.quantile(greatest_R, confidence))
    return tuple(
        (first, second) if mean > 0 else (second, first)
        for first, second, values in known
        for mean, error in [_mean_and_error(values)]
        if abs(mean) > quantile * error
    )


def _differences(scores: Mapping[str, Sequence[float]], first: str, second: str) -> Floats:
    ours, theirs = (np.asarray(scores[name], dtype=np.float64) for name in (first, second))
    if ours.shape != theirs.shape:
        raise ValueError("give each group a value for every question, NaN where it has none")
    return np.asarray(ours - theirs)


def _redrawn(questions: int, resamples: int, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(questions, np.full(questions, 1 / questions), resamples)
    return drawn.astype(np.float64)


def _mean_and_error(values: Floats) -> tuple[float, float]:
    there = values[np.isfinite(values)]
    return float(there.mean()), float(there.std(ddof=1) / np.sqrt(len(there)))


def _studentised(values: Floats, counts_RQ: Floats) -> Floats:
    """(R,): how many of its standard errors each redrawn mean is from the mean; 0 where nothing
    varies."""
    there = np.isfinite(values)
    mean, _ = _mean_and_error(values)
    apart, counts_RN = values[there] - mean, counts_RQ[:, there]
    n_R = counts_RN.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means_R = counts_RN @ apart / n_R
        variances_R = (counts_RN @ apart**2 / n_R - means_R**2) / (n_R - 1)
        studentised = np.abs(means_R) / np.sqrt(variances_R)
    return np.asarray(np.where(variances_R > 1e-24, studentised, 0.0))


def _thresholds(shares: ArrayLike, scale: Sequence[float]) -> tuple[Floats, Floats]:
    """The cumulative shares (..., K - 1) along the scale, and its steps as parts of its length."""
    positions = np.asarray(scale, dtype=np.float64)
    order = np.argsort(positions, kind="stable")
    length = positions[order[-1]] - positions[order[0]]
    if length <= 0:
        raise ValueError("a scale on which all options have one position has no distances")
    below = np.cumsum(np.asarray(shares, dtype=np.float64)[..., order], axis=-1)[..., :-1]
    return np.clip(below, 0.0, 1.0), np.diff(positions[order]) / length


def _mean_deviation(p: Floats, n: Floats) -> Floats:
    """E|X / n - p| of X ~ Bin(n, p): 2 v (1 - p) P(X = v) / n with v the first whole number above
    n p (de Moivre)."""
    v = np.minimum(np.floor(n * p) + 1, n)
    log_choose = gammaln(n + 1) - gammaln(v + 1) - gammaln(n - v + 1)
    return np.asarray(2 * v / n * np.exp(log_choose + xlogy(v, p) + xlogy(n - v + 1, 1 - p)))


@lru_cache(maxsize=1)
def _unfolding() -> tuple[Floats, Floats]:
    """Distances in standard errors, and what is to be read in place of each."""
    beyond = 2 * _REACH
    grid = np.arange(-beyond, beyond + _STEP / 2, _STEP)
    kernel = np.exp(-(np.arange(-_REACH, _REACH + _STEP / 2, _STEP) ** 2) / 2)
    kernel /= kernel.sum()
    reach = len(kernel) // 2
    folded = np.abs(grid)
    outside = beyond + _STEP * np.arange(1, reach + 1)
    unfolded = folded
    for _ in range(ITERATIONS):
        padded = np.concatenate([outside[::-1], unfolded, outside])
        unfolded = unfolded + folded - np.convolve(padded, kernel, "valid")
    there = (grid >= 0) & (grid <= _REACH)
    return grid[there], unfolded[there]


def _unfolded(distances: Floats) -> Floats:
    """Distances in standard errors, less what noise adds to them."""
    grid, unfolded = _unfolding()
    return np.where(distances < _REACH, np.interp(distances, grid, unfolded), distances)
