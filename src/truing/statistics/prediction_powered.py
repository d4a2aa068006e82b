"""A share that a judge has estimated on all answers, corrected by own labels of some of them.

A judge gives each of N answers a probability f; people have labelled n of them, drawn at random, with
y (1 for the outcome, else 0). Prediction-powered inference (Angelopoulos et al., 2023, Science 382) with
power tuning (Angelopoulos, Duchi and Zrnic, 2023, PPI++, section 6), for a mean:

    share = mean of y over the labelled + lambda * (mean of f over all - mean of f over the labelled),

with lambda = cov(y, f) / var(f) over the labelled, within 0 and 1: 0 is the labels alone, so that a judge
that is of no use does no harm. It takes nothing for granted about how the judge errs; only that the
labelled were drawn at random, not chosen.

The estimand is the share over questions like these, as everywhere here, not over these N alone: what is
drawn is N questions first and n of them for labels. With e = y - lambda * f the variance is

    V = var(e) * (1 / n - 1 / N) + var(y) / N.

Departures from the papers:

- the labelled are among the N, as they are in a run; PPI++ has N others. The estimates are equal, the
  papers' lambda times (N - n) / N being this one;
- the interval is not the normal one, which is too short with 50 labels and few of the outcome: it is
  Wilson's with the effective sample size share * (1 - share) / V + 1, Student's quantile with n - 2
  degrees of freedom (lambda is an estimate too), and var(e) with the same n - 2;
- labels that are all alike tell nothing of the judge. 1 / size is a mean of the estimate, weighed by the
  labels' spread times n, and of 1 / n, weighed by PRIOR: such labels count for themselves alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from truing.statistics.means import TAILS
from truing.statistics.score_intervals import wilson
from truing.statistics.two_way import PRIOR
from truing.types import Estimate

LEAST_LABELS = 10
"""Fewer own labels correct nothing."""

Floats = NDArray[np.float64]


def prediction_powered_share(
    predicted: Sequence[float], labels: Mapping[int, float], *, unscored: int = 0
) -> Estimate:
    """The share of an outcome with its 95 % interval; `n` counts the answers that the judge has seen.

    `predicted` has the judge's probability of the outcome for each answer; `labels` is 1 or 0 for the
    places in it that people labelled, which must have been drawn at random. With fewer than LEAST_LABELS
    nothing can be said, and the answers count as unscored. Raises ValueError for a probability or label
    outside of 0 to 1, or for a label of an answer that isn't there.
    """
    all_N = np.asarray(predicted, dtype=np.float64)
    if labels and not (min(labels) >= 0 and max(labels) < len(all_N)):
        raise ValueError("a label is for an answer that the judge hasn't seen")
    label_n = np.array(list(labels.values()), dtype=np.float64)
    if not all(((part >= 0) & (part <= 1)).all() for part in (all_N, label_n)):
        raise ValueError("probabilities and labels lie between 0 and 1")
    if len(labels) < LEAST_LABELS:
        return Estimate(None, None, None, 0, unscored + len(all_N))
    predicted_n = all_N[list(labels)]
    weight = _weight(predicted_n, label_n)
    share = float(label_n.mean() + weight * (all_N.mean() - predicted_n.mean()))
    share = min(max(share, 0.0), 1.0)
    size, quantile = _precision(share, label_n, label_n - weight * predicted_n, len(all_N))
    low, high = wilson(share, size, quantile)
    low, high = max(0.0, min(low, share)), min(1.0, max(high, share))
    return Estimate(share, low, high, len(all_N), unscored)


def _weight(predicted_n: Floats, label_n: Floats) -> float:
    """Lambda; 0 where the judge says the same of all that are labelled."""
    variance = float(predicted_n.var())
    if variance <= 0:
        return 0.0
    centred = predicted_n - predicted_n.mean()
    return min(max(float((centred * label_n).mean()) / variance, 0.0), 1.0)


def _precision(
    share: float, label_n: Floats, residual_n: Floats, answers: int
) -> tuple[float, float]:
    """The effective sample size, and the quantile to go with it."""
    labelled = len(label_n)
    unlabelled = 1 / labelled - 1 / answers
    error = float(residual_n.var()) * labelled / (labelled - 2) * unlabelled
    variance = error + float(label_n.var(ddof=1)) / answers
    spread = share * (1 - share)
    known = labelled * float(label_n.var())
    once = variance / (spread + variance) if spread + variance > 0 else 1 / labelled
    size = (known + PRIOR) / (known * once + PRIOR / labelled)
    return size, float(stdtrit(labelled - 2, TAILS[1]))
