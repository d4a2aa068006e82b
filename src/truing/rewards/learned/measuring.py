"""How well scores agree with judgements that weren't learned from, with intervals for other prompts and
other people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from truing.rewards.learned.sample import Sample
from truing.statistics.calibration import Bin, both_ways, calibration_error, reliability
from truing.statistics.judgement_likelihood import Likelihood, Ranked
from truing.statistics.pigeonhole import crossed_estimate, crossed_mean
from truing.types import Estimate

Floats = NDArray[np.float64]
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
    where both have the same), NaN where it has no such pair. `loss` (J,): -log P in nats.
    """

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
    return Agreement(right, terms.losses(score_A, thresholds_T), pairs)


@dataclass(frozen=True)
class Figures:
    """Means over judgements with intervals clustered by prompt and by person.

    `gain`: nats a judgement that the scores tell more than nothing does. None where no judgement prefers
    one of several answers.
    """

    accuracy: Estimate
    calibration_error: Estimate
    loss: Estimate
    gain: Estimate


def figures(sample: Sample, terms: Likelihood, ours: Agreement) -> Figures:
    """The figures of an agreement with a sample."""
    nothing = terms.losses(np.zeros(len(sample.answers)), terms.start)
    everyone = np.ones(len(sample), dtype=bool)
    return Figures(
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
    found = _mean(sample, right_J, chosen)
    return Estimate(found.value, found.low, found.high, found.n, undecided)


def difference(sample: Sample, ours_J: Floats, theirs_J: Floats) -> Estimate:
    """The mean of ours less theirs, judgement by judgement, where both are defined."""
    apart = ours_J - theirs_J
    return _mean(sample, apart, np.isfinite(apart))


def _mean(sample: Sample, values_J: Floats, chosen_J: NDArray[np.bool_]) -> Estimate:
    return crossed_mean(
        values_J[chosen_J].tolist(), _of(sample.person, chosen_J), _of(sample.prompt, chosen_J)
    )


def _of(names: Sequence[str], chosen_J: NDArray[np.bool_]) -> list[str]:
    return [name for name, chosen in zip(names, chosen_J, strict=True) if chosen]


def _calibration(sample: Sample, pairs: Pairs) -> Estimate:
    if not len(pairs.stated):
        return Estimate(None, None, None, 0)
    own = pairs.judgement

    def error(times_N: Floats) -> float:
        return calibration_error(*pairs.both_ways(times_N))

    people, prompts = ([names[place] for place in own] for names in (sample.person, sample.prompt))
    return crossed_estimate(error, people, prompts, resamples=RESAMPLES)
