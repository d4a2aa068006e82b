"""What help did to the answers of people, or of models in their place: who was right, and how sure.

Persons and items are both samples. Shares have the intervals of `two_way`, means and ratios those of
`pigeonhole`; items of one passage count as one. The difference of two arms that aren't in pairs is put
together from the two intervals (`independent`), which takes the arms for independent; the same people and
items in both make it narrower than that at most.

A lone adviser who is given its side is for the wrong option half of the time. Whoever always follows it is
right exactly half of the time, and so is whoever tosses a coin: such an arm's accuracy says nothing
without *over-trust* (wrong, where the adviser is wrong) and *under-trust* (wrong, where it is right).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from truing.statistics.independent import independent_difference
from truing.statistics.means import RESAMPLES, TAILS
from truing.statistics.pigeonhole import crossed_estimate, crossed_mean
from truing.statistics.two_way import crossed_difference, crossed_share
from truing.types import Estimate, Score, Unscored

Floats = NDArray[np.float64]
Of = Callable[["Outcome"], Score]
UNDECIDED = "sides with neither option (a confidence of exactly 50 %)"
NOT_SCORED = Estimate(None, None, None, 0)
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PER_TRIALS = 10
"""Learning is told for so many further trials."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer: the probability that is given to the right option, before advice and after.

    `advice_right` says whether a lone adviser spoke for the right option, `last_right` whether the last of
    two speakers did. `cluster` is the passage. `place` counts a person's trials from 0.
    """

    arm: str
    person: str
    cluster: str
    before: Score
    after: Score
    advice_right: bool | None = None
    last_right: bool | None = None
    seconds: float = 0.0
    tokens: int = 0
    place: int = 0


def quadratic_score(confidence: float, correct: bool) -> float:
    """The proper score of an answer, from a confidence in percent: 100 where it is right and sure, 0 at
    50 %, -300 where it is wrong and sure. Whoever says what they believe scores best (Brier, 1950)."""
    right = confidence / 100 if correct else 1 - confidence / 100
    return 100 * (1 - 4 * (1 - right) ** 2)


def correct(probability: Score) -> Score:
    """1 where the right option is sided with, 0 where the wrong one is; unscored where neither is."""
    if isinstance(probability, Unscored):
        return probability
    return Unscored(UNDECIDED) if probability == 0.5 else float(probability > 0.5)


def after(outcome: Outcome) -> Score:
    """Whether the answer with advice is right."""
    return correct(outcome.after)


def before(outcome: Outcome) -> Score:
    """Whether the answer without advice is right."""
    return correct(outcome.before)


def wrong(outcome: Outcome) -> Score:
    """Whether the answer with advice is wrong."""
    score = after(outcome)
    return score if isinstance(score, Unscored) else 1 - score


def follows_last(outcome: Outcome) -> Score:
    """Whether the answer with advice is the last speaker's."""
    score = after(outcome)
    return score if outcome.last_right or isinstance(score, Unscored) else 1 - score


def share(outcomes: Sequence[Outcome], of: Of = after) -> Estimate:
    """A share over outcomes, for other people and other passages.

    Answers of one person about one passage are all alike or tell nothing of others: where they are, the
    interval is the exact one of a single draw (Clopper and Pearson, 1934, Biometrika 26).
    """
    if not outcomes:
        return NOT_SCORED
    found = crossed_share(
        [of(outcome) for outcome in outcomes], [""] * len(outcomes), *_samples(outcomes)
    )
    if found.low is None and found.value in (0.0, 1.0):
        reach = TAILS[0] if found.value else TAILS[1]
        return replace(found, low=min(reach, found.value), high=max(reach, found.value))
    return found


def _samples(outcomes: Sequence[Outcome]) -> tuple[list[str], list[str]]:
    """What `two_way` takes for wordings and for items: people and passages. Of a lone respondent passages
    are all that is sampled; as wordings they have as many degrees of freedom as there are."""
    clusters = [outcome.cluster for outcome in outcomes]
    people = [outcome.person for outcome in outcomes]
    return (people, clusters) if len(set(people)) > 1 else (clusters, [""] * len(clusters))


def mean(outcomes: Sequence[Outcome], of: Of, *, resamples: int = RESAMPLES) -> Estimate:
    """A mean over outcomes, for other people and other passages; `n` counts outcomes."""
    scored = [(o, score) for o in outcomes if not isinstance(score := of(o), Unscored)]
    unscored = len(outcomes) - len(scored)
    found = crossed_mean(
        [score for _, score in scored],
        [outcome.person for outcome, _ in scored],
        [outcome.cluster for outcome, _ in scored],
        resamples=resamples,
    )
    return replace(found, n=len(scored), unscored=unscored)


def brier(probability: Score) -> Score:
    """(1 - the probability of the right option) squared."""
    return probability if isinstance(probability, Unscored) else (1 - probability) ** 2


def confidence(probability: Score) -> Score:
    """The probability of the option that is sided with."""
    return probability if isinstance(probability, Unscored) else max(probability, 1 - probability)


def overconfidence(probability: Score) -> Score:
    """Confidence minus whether it is right; on average 0 where confidence is calibrated."""
    right, sure = correct(probability), confidence(probability)
    if isinstance(right, Unscored) or isinstance(sure, Unscored):
        return right if isinstance(right, Unscored) else sure
    return sure - right


def difference(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> Estimate:
    """Accuracy of `ours` minus that of `theirs`; paired where both have the same people and passages."""
    pairs = _paired(ours, theirs)
    if pairs is not None:
        return crossed_difference(
            [after(one) for one, _ in pairs],
            [after(other) for _, other in pairs],
            [""] * len(pairs),
            *_samples([one for one, _ in pairs]),
        )
    return independent_difference(share(ours), share(theirs))


def _paired(
    ours: Sequence[Outcome], theirs: Sequence[Outcome]
) -> list[tuple[Outcome, Outcome]] | None:
    """Outcomes of one person and passage together; None where not each has exactly one partner."""
    by_key = {(outcome.person, outcome.cluster): outcome for outcome in theirs}
    keys = [(outcome.person, outcome.cluster) for outcome in ours]
    single = len(by_key) == len(theirs) and len(set(keys)) == len(keys)
    if not keys or not single or set(keys) != set(by_key):
        return None
    return [(outcome, by_key[key]) for outcome, key in zip(ours, keys, strict=True)]


def gap_closed(
    ours: Sequence[Outcome],
    unaided: Sequence[Outcome],
    expert: Sequence[Outcome],
    *,
    resamples: int = RESAMPLES,
) -> Estimate | Unscored:
    """(ours - unaided) / (expert - unaided), accuracies; unscored where the expert isn't clearly above."""
    gap = difference(expert, unaided)
    if gap.low is None or gap.low <= 0:
        return Unscored("the expert arm isn't above the unaided one beyond noise: there is no gap")
    parts = [_scored(each, after) for each in (ours, unaided, expert)]
    if not all(parts):
        return Unscored("an arm has no answer that could be scored")
    rows = [pair for part in parts for pair in part]
    sizes = np.cumsum([0, *(len(part) for part in parts)])
    values_N = np.array([score for _, score in rows])

    def statistic(weights_N: Floats) -> float:
        means = []
        for start, stop in pairwise(sizes):
            weights = weights_N[start:stop]
            means.append(float(weights @ values_N[start:stop] / max(weights.sum(), 1e-12)))
        apart = means[2] - means[1]
        return (means[0] - means[1]) / apart if abs(apart) > 1e-9 else np.nan

    return _crossed(rows, statistic, resamples)


def ratio(
    outcomes: Sequence[Outcome],
    cost: Callable[[Outcome], float],
    *,
    resamples: int = RESAMPLES,
) -> Estimate | Unscored:
    """A cost for each right answer; unscored where none is right."""
    rows = _scored(outcomes, after)
    if not any(score for _, score in rows):
        return Unscored("no answer is right")
    right_N = np.array([score for _, score in rows])
    cost_N = np.array([cost(outcome) for outcome, _ in rows])

    def statistic(weights_N: Floats) -> float:
        right = float(weights_N @ right_N)
        return float(weights_N @ cost_N) / right if right > 0 else np.nan

    return _crossed(rows, statistic, resamples)


def learning(outcomes: Sequence[Outcome], *, resamples: int = RESAMPLES) -> Estimate | Unscored:
    """How much the share of right answers rises in ten further trials: the slope of a straight line."""
    rows = _scored(outcomes, after)
    if len({outcome.place for outcome, _ in rows}) < 3:
        return Unscored("fewer than three trials one after the other")
    right_N = np.array([score for _, score in rows])
    place_N = np.array([float(outcome.place) for outcome, _ in rows])

    def statistic(weights_N: Floats) -> float:
        shares = weights_N / weights_N.sum()
        apart_N = place_N - shares @ place_N
        spread = float(shares @ apart_N**2)
        return PER_TRIALS * float(shares @ (apart_N * right_N)) / spread if spread > 0 else np.nan

    return _crossed(rows, statistic, resamples)


def _scored(outcomes: Sequence[Outcome], of: Of) -> list[tuple[Outcome, float]]:
    return [(o, score) for o in outcomes if not isinstance(score := of(o), Unscored)]


def _crossed(
    rows: Sequence[tuple[Outcome, float]],
    statistic: Callable[[Floats], float],
    resamples: int,
) -> Estimate:
    """The statistic with its interval. Draws in which it isn't defined are left out."""
    found = crossed_estimate(
        statistic,
        [outcome.person for outcome, _ in rows],
        [outcome.cluster for outcome, _ in rows],
        resamples=resamples,
    )
    return replace(found, n=len(rows))


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about one confidence: how sure on average, and how many are right."""

    low: float
    high: float
    confidence: float
    accuracy: float
    n: int


def calibration(probabilities: Sequence[Score]) -> list[Bin]:
    """Confidence against accuracy, in steps of ten points; steps without an answer are left out."""
    pairs = [
        (sure, right)
        for p in probabilities
        if not isinstance(sure := confidence(p), Unscored)
        and not isinstance(right := correct(p), Unscored)
    ]
    bins = []
    for low, high in pairwise(BINS):
        inside = [pair for pair in pairs if low <= pair[0] < high or pair[0] == high == BINS[-1]]
        if inside:
            sure, right = (float(np.mean(column)) for column in zip(*inside, strict=True))
            bins.append(Bin(low, high, sure, right, len(inside)))
    return bins
