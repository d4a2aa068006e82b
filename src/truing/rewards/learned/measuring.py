"""How well scores agree with judgements that weren't learned from, with intervals for other prompts and
other people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from truing.rewards.learned.sample import Sample
from truing.statistics.calibration import Bin, both_ways, calibration_error, reliability
from truing.statistics.judgement_likelihood import Likelihood, Ranked, Rated
from truing.statistics.means import TAILS
from truing.statistics.ordering import Order
from truing.statistics.pigeonhole import crossed_estimate, crossed_mean
from truing.statistics.score_intervals import wilson
from truing.types import Estimate

Floats = NDArray[np.float64]
LEAST_PROMPTS = 10
"""With fewer, redrawing them says too little of how far other prompts would lead elsewhere."""
_ALIKE = 1e-9
"""An interval that is shorter has no width but for rounding."""
RESAMPLES = 500
"""Behind the interval of a calibration error, which takes longer to redraw than a mean."""


@dataclass(frozen=True)
class Pairs:
    """Every two answers of a comparison or ranking: how probably the first is better (`stated`), whether
    people said so (1, 0, a half for a tie), the pair's `weight` in its judgement, and whose it is."""

    stated: Floats
    outcome: Floats
    weight: Floats
    judgement: NDArray[np.int64]

    def both_ways(self, times_N: Floats) -> tuple[Any, Any, Any]:
        """Stated, observed and weight, each pair told once from either answer."""
        return both_ways(self.stated, self.outcome, self.weight * times_N)

    def bins(self) -> list[Bin]:
        """Of the calibration curve."""
        return reliability(*self.both_ways(np.ones(len(self.stated))))


@dataclass(frozen=True)
class Agreement:
    """What scores say of each of J judgements.

    `right` (J,): the share of its pairs with a better answer in which that has the higher score (a half
    where both have the same), NaN where it has no such pair. `loss` (J,): -log P in nats. `score_A`: of the
    answers.
    """

    score_A: Floats
    right: Floats
    loss: Floats
    pairs: Pairs


def agreement(
    sample: Sample, terms: Likelihood, score_A: Floats, thresholds_T: Floats
) -> Agreement:
    """Of scores (A,) and thresholds with the judgements of a sample, whose likelihood is `terms`."""
    rows = [
        (number, better, worse, tie, 1 / len(each.pairs))
        for number, each in enumerate(sample.opinions)
        if isinstance(each, Ranked)
        for better, worse, tie in each.pairs
    ]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), 5)
    judgement, better, worse = table[:, :3].astype(np.int64).T
    tie, weight = table[:, 3], table[:, 4]
    apart = score_A[better] - score_A[worse]
    threshold = float(thresholds_T[0]) if terms.has_tie else 0.0
    stated = (expit(apart - threshold) + expit(apart + threshold)) / 2
    ordered = (np.sign(apart) + 1) / 2
    decided = 1 - tie
    with np.errstate(invalid="ignore"):
        right = np.bincount(judgement, ordered * decided, len(sample)) / np.bincount(
            judgement, decided, len(sample)
        )
    pairs = Pairs(stated, 1 - tie / 2, weight, judgement)
    return Agreement(score_A, right, terms.losses(score_A, thresholds_T), pairs)


@dataclass(frozen=True)
class Figures:
    """Means over judgements with intervals clustered by prompt and by person.

    `gain`: nats a judgement that the scores tell more than nothing does. None where no judgement prefers
    one of several answers. `rating_order`: of two answers that one person rated apart, how often the higher
    rated one has the higher score; None where nobody did.
    """

    rating_order: Estimate
    accuracy: Estimate
    calibration_error: Estimate
    loss: Estimate
    gain: Estimate


def figures(sample: Sample, terms: Likelihood, ours: Agreement) -> Figures:
    """The figures of an agreement with a sample."""
    nothing = terms.losses(np.zeros(len(sample.answers)), terms.start)
    everyone = np.ones(len(sample), dtype=bool)
    return Figures(
        rating_order=_rating_order(sample, ours.score_A),
        accuracy=accuracy(sample, ours.right),
        calibration_error=_calibration(sample, ours.pairs),
        loss=_mean(sample, ours.loss, everyone),
        gain=_mean(sample, nothing - ours.loss, everyone),
    )


def accuracy(
    sample: Sample, right_J: Floats, chosen_J: NDArray[np.bool_] | None = None
) -> Estimate:
    """The mean of `right`, of all judgements or of those that are chosen."""
    chosen = np.isfinite(right_J) if chosen_J is None else chosen_J & np.isfinite(right_J)
    undecided = int(len(right_J) if chosen_J is None else chosen_J.sum()) - int(chosen.sum())
    found = crossed_mean(
        right_J[chosen].tolist(), _of(sample.person, chosen), _of(sample.prompt, chosen)
    )
    low, high = _share_within(found, len(set(_of(sample.person, chosen))))
    return Estimate(found.value, low, high, found.n, undecided)


def _share_within(found: Estimate, people: int) -> tuple[float | None, float | None]:
    """The interval of a share: redrawn, or Wilson's where that says too little, with as many independent
    draws as there are prompts, or people where these are fewer (a lone one isn't redrawn)."""
    if found.value is None or _tells(found):
        return found.low, found.high
    draws = min(found.n, people) if people > 1 else found.n
    low, high = wilson(found.value, draws, float(norm.ppf(TAILS[1])))
    return min(found.value, max(0.0, low)), max(found.value, min(1.0, high))


def _tells(found: Estimate) -> bool:
    """Whether an interval that was redrawn says something: of enough prompts, and not all alike."""
    if found.low is None or found.high is None:
        return False
    return found.n >= LEAST_PROMPTS and found.high - found.low > _ALIKE


def _with_interval(found: Estimate) -> Estimate:
    """Without the interval where it says too little."""
    return found if _tells(found) else Estimate(found.value, None, None, found.n, found.unscored)


def counted(sample: Sample, right_J: Floats) -> dict[str, int]:
    """How many judgements there are, how many of them accuracy is of, and why the others are not: a rating
    is of one answer, and a tie prefers none."""
    ratings = sum(isinstance(each, Rated) for each in sample.opinions)
    decided = int(np.isfinite(right_J).sum())
    ties = len(sample) - ratings - decided
    return {"judgements": len(sample), "decided": decided, "ratings": ratings, "ties": ties}


def difference(sample: Sample, ours_J: Floats, theirs_J: Floats) -> Estimate:
    """The mean of ours less theirs, judgement by judgement, where both are defined."""
    apart = ours_J - theirs_J
    return _mean(sample, apart, np.isfinite(apart))


def _mean(sample: Sample, values_J: Floats, chosen_J: NDArray[np.bool_]) -> Estimate:
    found = crossed_mean(
        values_J[chosen_J].tolist(), _of(sample.person, chosen_J), _of(sample.prompt, chosen_J)
    )
    return _with_interval(found)


def _of(names: Sequence[str], chosen_J: NDArray[np.bool_]) -> list[str]:
    return [name for name, chosen in zip(names, chosen_J, strict=True) if chosen]


def _rating_order(sample: Sample, score_A: Floats) -> Estimate:
    """Clustered as all figures are; people without a name count as one."""
    rated = [number for number, each in enumerate(sample.opinions) if isinstance(each, Rated)]
    opinions = [each for each in sample.opinions if isinstance(each, Rated)]
    score = score_A[[each.answer for each in opinions]]
    rating = np.array([each.level for each in opinions])
    people, prompts = (
        [names[place] for place in rated] for names in (sample.person, sample.prompt)
    )
    own = [np.flatnonzero(np.array(people) == name) for name in dict.fromkeys(people)]
    orders = [(places, Order.of(score[places], rating[places])) for places in own]

    def share(times_N: Floats) -> float:
        right, of_all = np.sum([order.pairs(times_N[places]) for places, order in orders], axis=0)
        return float(right / of_all) if of_all else float("nan")

    if not rated or np.isnan(share(np.ones(len(rated)))):
        return Estimate(None, None, None, 0)
    return _with_interval(crossed_estimate(share, people, prompts, resamples=RESAMPLES))


def _calibration(sample: Sample, pairs: Pairs) -> Estimate:
    if not len(pairs.stated):
        return Estimate(None, None, None, 0)
    own = pairs.judgement

    def error(times_N: Floats) -> float:
        return calibration_error(*pairs.both_ways(times_N))

    people, prompts = ([names[place] for place in own] for names in (sample.person, sample.prompt))
    return _with_interval(crossed_estimate(error, people, prompts, resamples=RESAMPLES))
