"""Heads for groups of people, by what they say of themselves, where held-out judgements ask for them.

A group's head begins as the head of all people and is pulled back to it by the same ridge:

    minimise   loss of the group's judgements (F w, t) + ridge / 2 |w - w_all|^2

so that a group with few judgements stays near to all. It is kept only where judgements of the group that
were held out (in folds of prompts, on the training side) are likelier by it, beyond what other prompts and
other people would make of chance: the lower end of the gain's 95 % interval is above 0. Groups that agree
therefore share a head; of 40 groups that do agree, one gets its own by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.rewards.learned.fitting import Fit
from truing.rewards.learned.sample import Sample
from truing.statistics.judgement_likelihood import Likelihood, Ties
from truing.statistics.linear_scores import LinearScores, fitted
from truing.statistics.pigeonhole import crossed_mean
from truing.types import Estimate

Floats = NDArray[np.float64]
LEAST_JUDGEMENTS = 40
"""Of a group on the training side, without which no head of its own is tried."""


@dataclass(frozen=True)
class OwnHead:
    """A group's head, calibrated, and what it gained on judgements held out, in nats each."""

    group: str
    judgements: int
    gain: Estimate
    weights: Floats

    @property
    def asked_for(self) -> bool:
        """Whether held-out judgements ask for it beyond noise."""
        return self.gain.low is not None and self.gain.low > 0


def own_heads(sample: Sample, table: Any, fit: Fit, ties: Ties, folds: int) -> dict[str, OwnHead]:
    """The head of each group that is large enough, whether asked for or not."""
    group_J = np.array(sample.group, dtype=object)
    names = [name for name in sorted(set(sample.group)) if name]
    large = [name for name in names if (group_J == name).sum() >= LEAST_JUDGEMENTS]
    terms = sample.likelihood(ties)
    gain_J = _gains(sample, terms, table, fit, {n: group_J == n for n in large}, folds)
    of_all = LinearScores(fit.head.weights / fit.scale, fit.head.thresholds)
    heads = {}
    for name in large:
        own_J = group_J == name
        weights = _of_group(terms, table, fit.ridge, own_J, of_all).weights * fit.scale
        gain = crossed_mean(
            gain_J[own_J].tolist(), _of(sample.person, own_J), _of(sample.prompt, own_J)
        )
        heads[name] = OwnHead(name, int(own_J.sum()), gain, weights)
    return heads


def around_each(
    sample: Sample, table: Any, fit: Fit, ties: Ties, group: str, weights_HE: Floats
) -> Floats:
    """(H, E) a group's heads, each around one of the heads of all people."""
    terms, own_J = sample.likelihood(ties), np.array(sample.group, dtype=object) == group
    heads = [LinearScores(weights / fit.scale, fit.head.thresholds) for weights in weights_HE]
    rows = [_of_group(terms, table, fit.ridge, own_J, head).weights for head in heads]
    return np.stack(rows) * fit.scale


def _of_group(
    terms: Likelihood, table: Any, ridge: float, own_J: NDArray[np.bool_], of_all: LinearScores
) -> LinearScores:
    part = terms.weighted(own_J.astype(np.float64))
    return fitted(part, table, ridge, around=of_all.weights, start=of_all)


def _gains(
    sample: Sample,
    terms: Likelihood,
    table: Any,
    fit: Fit,
    members: Mapping[str, NDArray[np.bool_]],
    folds: int,
) -> Floats:
    """(J,) nats that a judgement is likelier by its group's head than by that of all, out of fold."""
    fold_J, _ = sample.folds(folds)
    gain_J = np.zeros(len(sample))
    for fold in np.unique(fold_J):
        train_J, held_J = fold_J != fold, fold_J == fold
        of_all = fitted(terms.weighted(train_J.astype(np.float64)), table, fit.ridge)
        loss_J = terms.losses(table @ of_all.weights, of_all.thresholds)
        for own_J in members.values():
            own = _of_group(terms, table, fit.ridge, own_J & train_J, of_all)
            apart_J = loss_J - terms.losses(table @ own.weights, own.thresholds)
            gain_J[own_J & held_J] = apart_J[own_J & held_J]
    return gain_J


def _of(names: Sequence[str], chosen_J: NDArray[np.bool_]) -> list[str]:
    return [name for name, chosen in zip(names, chosen_J, strict=True) if chosen]
