"""What is said of a reward model: its figures on held-out judgements, beside baselines and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.rewards.learned.baselines import BASELINES, RIDGES
from truing.rewards.learned.fitting import fit
from truing.rewards.learned.measuring import (
    Agreement,
    accuracy,
    agreement,
    difference,
    figures,
)
from truing.rewards.learned.sample import Said, Sample
from truing.rewards.learned.training import Learned, States
from truing.spec.reward_model import RewardModelSpec
from truing.statistics.judgement_likelihood import Likelihood

Floats = NDArray[np.float64]
Json = dict[str, Any]
POOLED, FROZEN = "all people", "frozen"


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
    frozen: tuple[States, Learned] | None = None,
) -> Json:
    """The figures on each held-out sample; the first is the one that baselines and groups are shown for.

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
            name: {"judgements": len(each.sample), **each.figures(said[name])}
            for name, each in sides.items()
        },
        "calibration": [each.__dict__ for each in said[first].pairs.bins()],
        "baselines": baselines,
        "groups": _groups(side, states, learned, section),
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


def _groups(side: _HeldOut, states: States, learned: Learned, section: RewardModelSpec) -> Json:
    """The group x head table on held-out judgements, the worst group, and which heads were asked for."""
    if not section.groups:
        return {}
    table = learned.features(states, side.sample.answers)
    weights = {POOLED: learned.heads.weights.mean(0)} | {
        name: head.weights for name, head in learned.own.items()
    }
    by_head = {
        head: agreement(side.sample, side.terms, table @ w, learned.fit.head.thresholds).right
        for head, w in weights.items()
    }
    names = sorted({name for name in side.sample.group if name})
    member = {name: np.array([own == name for own in side.sample.group]) for name in names}
    cells = {
        name: {
            head: accuracy(side.sample, right, member[name]).to_json()
            for head, right in by_head.items()
        }
        for name in names
    }
    return {
        "dimension": section.groups,
        "heads": {name: _own(head) for name, head in learned.own.items()},
        "accuracy": cells,
        "worst": _worst(cells, learned),
    }


def _own(head: Any) -> Json:
    return {
        "judgements": head.judgements,
        "gain": head.gain.to_json(),
        "asked_for": head.asked_for,
    }


def _worst(cells: Mapping[str, Mapping[str, Json]], learned: Learned) -> Json | None:
    """The group that is served worst by the head that it has: its own where it was asked for."""
    served = {
        name: row[name if name in learned.heads.groups else POOLED] for name, row in cells.items()
    }
    known = {name: cell for name, cell in served.items() if cell["value"] is not None}
    if not known:
        return None
    name = min(known, key=lambda each: (known[each]["value"], each))
    return {"group": name, "accuracy": known[name]}


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
