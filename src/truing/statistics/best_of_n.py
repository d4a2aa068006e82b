"""What choosing the best of n answers gains, for every n up to N, from one draw of N answers a prompt.

Of the C(N, n) sets of n of the drawn answers, each as likely, the answer with the largest reward is chosen;
what is asked for is the expected value of the chosen one. With answers in order of their reward, L of them
below a reward that t of them share, the chosen answer is one of those t with the chance

    [C(L + t, n) - C(L, n)] / C(N, n)

and each of them as likely as the others, which is what taking the first of equals comes to where the order
of the draws means nothing. Every set is counted, so the estimate is unbiased, and it has the least variance
of all that don't depend on that order (a U-statistic; with t = 1 and the reward as the value it is the
estimator of WebGPT's appendix I, Nakano et al., 2021). Drawing with replacement in place of sets, or
taking the best of the first n, is biased or wastes draws.

An answer without a reward is behind all that have one. Chosen answers without a value are left out of the
mean of their prompt. Prompts, not answers, are what is resampled.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from truing.statistics.means import RESAMPLES, SEED, means
from truing.types import Estimate, Score, Unscored


@dataclass(frozen=True)
class Draws:
    """The answers drawn to one prompt: the reward of each, and the value of each that is asked about."""

    prompt: str
    rewards: Sequence[Score]
    values: Sequence[Score]


def kl_bound(n: int) -> float:
    """Nats that the chosen answer's distribution is away from the drawn one's, at most
    (Beirami et al., 2024, theorem 1)."""
    return math.log(n) - (n - 1) / n


def chances(rewards: Sequence[Score], n: int) -> list[float]:
    """The chance of each answer to be the chosen one of n, drawn without replacement.

    Raises ValueError where n is below 1 or above the number of answers.
    """
    if not 1 <= n <= len(rewards):
        raise ValueError("n is at least 1, and at most the number of answers")
    alike: dict[float, list[int]] = defaultdict(list)
    for place, reward in enumerate(rewards):
        alike[-math.inf if isinstance(reward, Unscored) else reward].append(place)
    sets = _sets(len(rewards), n)
    chance, below = [0.0] * len(rewards), 0
    for reward in sorted(alike):
        tied = alike[reward]
        above = below + len(tied)
        for place in tied:
            chance[place] = (sets[above] - sets[below]) / (sets[-1] * len(tied))
        below = above
    return chance


@lru_cache(maxsize=256)
def _sets(answers: int, n: int) -> tuple[int, ...]:
    """How many sets of n the first 0, 1, ... answers have; whole numbers, so that nothing is rounded."""
    return tuple(math.comb(first, n) for first in range(answers + 1))


def best_of_n(rewards: Sequence[Score], values: Sequence[Score], n: int) -> Score:
    """The expected value of the answer with the largest reward among n of these.

    Unscored where there are fewer than n answers, or no answer that may be chosen has a value. Raises
    ValueError where rewards and values aren't as many.
    """
    if n > len(rewards):
        return Unscored(f"the best of {n} needs {n} answers, there are {len(rewards)}")
    terms, scored = [], []
    reason = "no answer that may be chosen has a value"
    for chance, value in zip(chances(rewards, n), values, strict=True):
        if isinstance(value, Unscored):
            reason = value.reason if chance else reason
        elif chance:
            terms.append(chance * value)
            scored.append(chance)
    return math.fsum(terms) / math.fsum(scored) if scored else Unscored(reason)


def curve(
    items: Sequence[Draws], sizes: Sequence[int], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[int, Estimate]:
    """The mean over prompts of the best of each size, with 95 % intervals over prompts.

    Several items of one prompt (other seeds) are one, their mean. Prompts without a figure are counted as
    unscored.
    """
    return _estimates(_by_prompt(items, sizes), sizes, resamples, seed)


def gains(
    items: Sequence[Draws], sizes: Sequence[int], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[int, Estimate]:
    """The same, less the mean answer of the same prompt (the best of 1): what choosing gains."""
    by_prompt = _by_prompt(items, [1, *sizes])
    differences = {
        prompt: {n: figures[n] - figures[1] for n in sizes if n in figures and 1 in figures}
        for prompt, figures in by_prompt.items()
    }
    return _estimates(differences, sizes, resamples, seed)


def _by_prompt(items: Sequence[Draws], sizes: Sequence[int]) -> dict[str, dict[int, float]]:
    """The figure of each prompt at each size, where it has one."""
    of_items: dict[str, dict[int, list[float]]] = {}
    for item in items:
        figures = of_items.setdefault(item.prompt, {})
        for n in dict.fromkeys(sizes):
            score = best_of_n(item.rewards, item.values, n)
            if not isinstance(score, Unscored):
                figures.setdefault(n, []).append(score)
    return {
        prompt: {n: math.fsum(scores) / len(scores) for n, scores in figures.items()}
        for prompt, figures in of_items.items()
    }


def _estimates(
    by_prompt: dict[str, dict[int, float]], sizes: Sequence[int], resamples: int, seed: int
) -> dict[int, Estimate]:
    """Prompts in the order of their names, so that the order of the rows changes no interval."""
    prompts = sorted(by_prompt)
    columns = [[by_prompt[p][n] for p in prompts if n in by_prompt[p]] for n in sizes]
    estimates = means(columns, resamples=resamples, seed=seed)
    return {
        n: Estimate(each.value, each.low, each.high, each.n, len(prompts) - each.n)
        for n, each in zip(sizes, estimates, strict=True)
    }
