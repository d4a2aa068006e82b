"""The linear heads of a reward model: several fitted to resamples, and those of groups of people.

A policy finds the answers that one head rates too high. Heads of other resamples err elsewhere, so that
their minimum, or their mean less their deviation, is gained less easily by an answer that none of them has
seen the like of (Coste, Anwar, Kirk and Krueger, 2024, "Reward Model Ensembles Help Mitigate
Overoptimization"). It mitigates: what all heads get wrong, all of them pay for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from truing.models.features import Features
from truing.spec.reward_model import Pooling

Floats = NDArray[np.float64]
Vectors = TypeVar("Vectors", Features, Tensor)
Combine = Literal["mean", "minimum", "cautious"]
Aggregate = Literal["pooled", "mean", "worst"] | Mapping[str, float]


def pooled(vectors_BV: Vectors, pooling: Pooling) -> Vectors:
    """Of vectors with an answer's mean state and its last one side by side, what a head sees."""
    half = vectors_BV.shape[1] // 2
    return {"mean": vectors_BV[:, :half], "last": vectors_BV[:, half:], "both": vectors_BV}[pooling]


@dataclass(frozen=True)
class Standard:
    """What vectors are less, and divided by, before a head sees them: so scaled, one has a length of 1 on
    average, and a score of 0 is that of the average training answer."""

    mean: Floats
    scale: Floats

    @staticmethod
    def of(vectors_AE: Features) -> Standard:
        """That of training answers."""
        spread = vectors_AE.std(0, dtype=np.float64) + 1e-6
        return Standard(vectors_AE.mean(0, dtype=np.float64), spread * np.sqrt(vectors_AE.shape[1]))

    def __call__(self, vectors_BE: Features) -> Floats:
        """(B, E) standardised."""
        return np.asarray((vectors_BE - self.mean) / self.scale)


@dataclass(frozen=True)
class Heads:
    """Weights (H, E) of the heads of all people, and of groups that have their own, on standardised
    vectors; scores are log-odds between answers."""

    pooling: Pooling
    standard: Standard
    weights: Floats
    groups: Mapping[str, Floats] = field(default_factory=dict)

    def scores(self, vectors_BV: Features, group: str = "") -> Floats:
        """(H, B) scores by each head, of all people or of a group that has its own."""
        features = self.standard(pooled(vectors_BV, self.pooling))
        return np.asarray(self.groups.get(group, self.weights) @ features.T)


def combined(score_HB: Floats, combine: Combine, caution: float) -> Floats:
    """(B,) of the scores by several heads."""
    if combine == "minimum":
        return np.asarray(score_HB.min(0))
    mean: Floats = score_HB.mean(0)
    return mean - caution * score_HB.std(0) if combine == "cautious" else mean


def aggregated(
    by_group: Mapping[str, Floats], pooled_B: Floats, how: Aggregate, sharing: int = 0
) -> Floats:
    """(B,) of the groups' scores (B,): their mean, the worst, or a weighted mean.

    `sharing` counts the groups without a head of their own, each of which has the pooled score; so has one
    that `how` names, and everybody where no group has its own.
    """
    if isinstance(how, Mapping):
        total = sum(how.values())
        parts = [weight / total * by_group.get(name, pooled_B) for name, weight in how.items()]
        return np.asarray(np.sum(parts, axis=0))
    if how == "pooled" or not by_group:
        return pooled_B
    table = np.stack([*by_group.values(), *[pooled_B] * sharing])
    return np.asarray(table.mean(0) if how == "mean" else table.min(0))


@dataclass(frozen=True)
class Rule:
    """How the scores by several heads, and of several groups, become one reward.

    `sharing` counts the groups that share the head of all people.
    """

    combine: Combine = "mean"
    caution: float = 1.0
    aggregate: Aggregate = "pooled"
    sharing: int = 0

    def __call__(self, heads: Heads, vectors_BV: Features) -> Floats:
        """(B,) rewards of answers with these vectors."""
        one = {
            name: combined(heads.scores(vectors_BV, name), self.combine, self.caution)
            for name in ("", *heads.groups)
        }
        pooled_B = one.pop("")
        return aggregated(one, pooled_B, self.aggregate, self.sharing)


def as_arrays(heads: Heads) -> dict[str, NDArray[Any]]:
    """For a safetensors file."""
    own = {f"groups/{name}": weights for name, weights in heads.groups.items()}
    return {
        "mean": heads.standard.mean,
        "scale": heads.standard.scale,
        "weights": heads.weights,
        **own,
    }
