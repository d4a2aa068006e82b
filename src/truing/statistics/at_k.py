"""How often at least one of k tries succeeds, where n were made: what a patient attacker reaches.

For an item with c successes among n tries, the share of the C(n, k) sets of k tries that hold a success:

    hit@k = 1 - C(n - c, k) / C(n, k)

(Chen et al., 2021, Evaluating Large Language Models Trained on Code, equation 1). It is unbiased for
tries drawn as these were; 1 - (1 - c / n)^k is too low, for it may draw one try twice. The mean is over
items, which are what is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from truing.statistics.means import RESAMPLES, SEED, mean
from truing.types import Estimate, Score, Unscored


def hit_at_k(successes: int, tries: int, k: int) -> Score:
    """The chance that k of these tries, drawn without replacement, hold at least one success.

    Unscored where there are fewer than k tries. Raises ValueError for counts that can't be.
    """
    if k < 1 or not 0 <= successes <= tries:
        raise ValueError("k is at least 1, and successes are at most as many as tries")
    if k > tries:
        return Unscored(f"hit@{k} needs {k} tries, there are {tries}")
    return 1 - comb(tries - successes, k) / comb(tries, k)


def mean_hit_at_k(
    items: Sequence[Sequence[Score]], k: int, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Estimate:
    """The mean hit@k over items, each a list of tries (1 a success, 0 none), with its 95 % interval.

    Tries that are Unscored don't count as tries; items left with fewer than k are counted as unscored.
    Raises ValueError for a try that is neither 0 nor 1.
    """
    values = [_of_item(item, k) for item in items]
    scored = [value for value in values if not isinstance(value, Unscored)]
    unscored = len(values) - len(scored)
    return mean(scored, unscored=unscored, resamples=resamples, seed=seed)


def _of_item(item: Sequence[Score], k: int) -> Score:
    tries = [score for score in item if not isinstance(score, Unscored)]
    if not all(score in (0, 1) for score in tries):
        raise ValueError("a try succeeds (1) or doesn't (0)")
    return hit_at_k(sum(score == 1 for score in tries), len(tries), k)
