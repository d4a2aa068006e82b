"""What is said of a reward model: its figures on held-out judgements, beside baselines and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.rewards.learned.baselines import BASELINES, RIDGES
from truing.rewards.learned.fitting import fit
from truing.rewards.learned.group_table import group_table
from truing.rewards.learned.head import Rule
from truing.rewards.learned.measuring import (
    Agreement,
    agreement,
    counted,
    difference,
    figures,
)
from truing.rewards.learned.sample import Said, Sample
from truing.rewards.learned.training import Learned, States
from truing.spec.reward_model import RewardModelSpec
from truing.statistics.judgement_likelihood import Likelihood

Floats = NDArray[np.float64]
Json = dict[str, Any]
FROZEN = "frozen"


@dataclass(frozen=True)
class _HeldOut:
    """Judgements that are measured on, and their likelihood with the training side's thresholds."""

    sample: Sample
    terms: Likelihood

    @staticmethod
    def of(sample: Sample, train: Likelihood, section: RewardModelSpec) -> _HeldOut:
        return _HeldOut(sample, sample.likelihood(section.ties, like=train))

    def figures(self, said: Agreement) -> Json:
        own = figures(self.sample, self.terms, said)
        return {name: estimate.to_json() for name, estimate in own.__dict__.items()}


def measured(
    train: Sample,
    held_out: Mapping[str, Sample],
    states: States,
    learned: Learned,
    section: RewardModelSpec,
    groups: tuple[Sample, Rule],
    frozen: tuple[States, Learned] | None = None,
) -> Json:
    """The figures on each held-out sample; the first is the one that baselines are shown for.

    `groups` are all that is held out, and how heads become the reward: what the groups' table is of.
    `frozen` are the states of the base as it is and the head on them, where an adapter reads: one more
    that is compared with.
    """
    of_train = train.likelihood(section.ties)
    sides = {name: _HeldOut.of(each, of_train, section) for name, each in held_out.items()}
    said = {name: _said(side, states, learned) for name, side in sides.items()}
    first, side = next(iter(sides.items()))
    baselines = _baselines(train, side, said[first], section)
    if frozen is not None:
        baselines[FROZEN] = _compared(side, said[first], _said(side, *frozen))
    return {
        "held_out": {
            name: {**counted(each.sample, said[name].right), **each.figures(said[name])}
            for name, each in sides.items()
        },
        "calibration": [each.__dict__ for each in said[first].pairs.bins()],
        "baselines": baselines,
        "groups": _groups(train, of_train, groups, states, learned, section),
    }


def _said(side: _HeldOut, states: States, learned: Learned) -> Agreement:
    """What the mean of the heads says: the figures are of the calibrated score, however heads combine."""
    table = learned.features(states, side.sample.answers)
    score_A = table @ learned.heads.weights.mean(0)
    return agreement(side.sample, side.terms, score_A, learned.fit.head.thresholds)


def _baselines(train: Sample, side: _HeldOut, ours: Agreement, section: RewardModelSpec) -> Json:
    """Each baseline's figures on the same judgements, and what the heads gain over it, paired."""
    return {name: _baseline(name, train, side, ours, section) for name in BASELINES}


def _baseline(
    name: str, train: Sample, side: _HeldOut, ours: Agreement, section: RewardModelSpec
) -> Json:
    tables = BASELINES[name](train.answers, side.sample.answers)
    own = {key: table for key, (table, _) in tables.items()}
    best = fit(train, own, RIDGES[name], section.ties, section.folds)
    score_A = np.asarray(tables[best.feature][1] @ best.head.weights)
    theirs = agreement(side.sample, side.terms, score_A, best.head.thresholds)
    return _compared(side, ours, theirs)


def _compared(side: _HeldOut, ours: Agreement, theirs: Agreement) -> Json:
    """The figures of theirs, and what ours gains over it, paired."""
    sample = side.sample
    return {
        **side.figures(theirs),
        "accuracy_gain": difference(sample, ours.right, theirs.right).to_json(),
        "loss_gain": difference(sample, theirs.loss, ours.loss).to_json(),
    }


def _groups(
    train: Sample,
    of_train: Likelihood,
    groups: tuple[Sample, Rule],
    states: States,
    learned: Learned,
    section: RewardModelSpec,
) -> Json:
    if not section.groups:
        return {}
    everyone, rule = groups
    terms = everyone.likelihood(section.ties, like=of_train)
    return group_table(section.groups, train, everyone, terms, states, learned, rule)


def counts(train: Sample) -> Json:
    """How many judgements of each kind, prompts and people are learned from."""
    people = {name for name in train.person if name}
    kinds = {kind: train.kinds.count(kind) for kind in dict.fromkeys(train.kinds)}
    return {
        "judgements": len(train),
        "kinds": kinds,
        "prompts": len(set(train.prompt)),
        "people": len(people),
    }


def chosen(learned: Learned) -> Json:
    """What cross-validation chose, and how far scores out of fold had to be scaled."""
    best = learned.fit
    return {
        "feature": best.feature,
        "ridge": best.ridge,
        "temperature": 1 / best.scale,
        "heads": len(learned.heads.weights),
        "groups": list(learned.heads.groups),
    }


def tried(learned: Learned) -> list[Json]:
    """What cross-validation compared, the best first."""
    rows = sorted(learned.fit.tried.items(), key=lambda each: each[1])
    return [{"feature": feature, "ridge": ridge, "loss": loss} for (feature, ridge), loss in rows]


def answers_of(samples: Sequence[Sample]) -> list[Said]:
    """Every answer of several samples once, those of one conversation together."""
    return sorted({answer for sample in samples for answer in sample.answers})
