"""Whether a model stands with the same group from topic to topic.

Consistency is the share of topics whose best-represented group is the one that is best represented
overall (Santurkar et al., 2023, section 3.4). It has no meaning without its chance level: a group that is
best overall is best on many topics where topics mean nothing, too. Here that is what permuted topics
give, each of its own size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from truing.statistics.means import SEED, TAILS
from truing.statistics.opinion_distances import Floats
from truing.types import Unscored

FEWEST_QUESTIONS = 10
"""A topic with fewer has too much noise to have a best group."""


@dataclass(frozen=True)
class Consistency:
    """`share`: of topics whose best group is `best`, the best one overall. `chance`: what permuted topics
    give on average, between `low` and `high` in 95 % of them; `p_value`: how often they give as
    much. `by_topic`: each topic's best group; `left_out`: topics with too few questions."""

    share: float
    chance: float
    low: float
    high: float
    p_value: float
    best: str
    by_topic: Mapping[str, str]
    left_out: tuple[str, ...]


def consistency(
    scores: Mapping[str, Sequence[float]],
    topics: Sequence[str],
    *,
    fewest: int = FEWEST_QUESTIONS,
    permutations: int = 1000,
    seed: int = SEED,
) -> Consistency | Unscored:
    """How consistent the scores of groups, one a question (NaN where a group has none), are over topics.

    Questions without a topic (""), or without a score of every group, don't count. Unscored where fewer
    than two groups or two topics with `fewest` questions are left.
    """
    names = list(scores)
    values_GQ = np.array([scores[name] for name in names], dtype=np.float64)
    if len(names) < 2:
        return Unscored("consistency compares groups, of which there are fewer than two")
    usable = np.isfinite(values_GQ).all(0) & np.array([bool(topic) for topic in topics])
    counts = {
        topic: sum(usable[place] and each == topic for place, each in enumerate(topics))
        for topic in dict.fromkeys(topics)
        if topic
    }
    large = [topic for topic, count in counts.items() if count >= fewest]
    if len(large) < 2:
        return Unscored(
            f"{len(large)} topic(s) have {fewest} questions that every group answered; it takes two"
        )
    there = usable & np.array([topic in large for topic in topics])
    values_GN = values_GQ[:, there]
    labels_N = np.array([large.index(topic) for topic in topics if topic in large])
    labels_N = labels_N[usable[np.array([topic in large for topic in topics])]]
    best = int(values_GN.mean(1).argmax())
    bests_T = _bests(values_GN, labels_N, len(large))
    generator = np.random.default_rng(seed)
    by_chance = np.array(
        [
            (_bests(values_GN, generator.permutation(labels_N), len(large)) == best).mean()
            for _ in range(permutations)
        ]
    )
    share = float((bests_T == best).mean())
    low, high = np.quantile(by_chance, TAILS).tolist()
    as_much = int((by_chance >= share - 1e-12).sum())
    return Consistency(
        share,
        float(by_chance.mean()),
        low,
        high,
        (as_much + 1) / (permutations + 1),
        names[best],
        {topic: names[place] for topic, place in zip(large, bests_T.tolist(), strict=True)},
        tuple(topic for topic in counts if topic not in large),
    )


def _bests(values_GN: Floats, labels_N: np.ndarray, topics: int) -> np.ndarray:
    """(T,): the place of the group with the greatest mean on each topic's questions."""
    member_NT = np.eye(topics)[labels_N]
    return np.asarray((values_GN @ member_NT / member_NT.sum(0)).argmax(0))
