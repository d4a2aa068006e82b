"""How the groups of people fare: each under every head, and under the reward as it is used.

All are held against the same judgements: all those of held-out prompts, whoever judged, so that no group
is missing because none of its people was held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from truing.rewards.learned.groups import OwnHead
from truing.rewards.learned.head import Rule
from truing.rewards.learned.measuring import accuracy, agreement
from truing.rewards.learned.sample import Sample
from truing.rewards.learned.training import Learned, States, vectors
from truing.spec.reward_model import RewardModelSpec
from truing.statistics.judgement_likelihood import Likelihood

Floats = NDArray[np.float64]
Json = dict[str, Any]
POOLED = "all people"
MEASURED_ON = "other prompts, whoever judged"


def rule_of(train: Sample, learned: Learned, section: RewardModelSpec) -> Rule:
    """The section's rule, with the number of groups that share the head of all people."""
    shared = set(_names(train)) - set(learned.heads.groups)
    return Rule(section.combine, section.caution, section.aggregate, len(shared))


def group_table(
    dimension: str,
    train: Sample,
    held_out: Sample,
    terms: Likelihood,
    states: States,
    learned: Learned,
    rule: Rule,
) -> Json:
    """The group x head table, each group under the reward (`used`), the worst of these, and which heads
    were asked for; `terms` are the likelihood of what is held out."""
    table = learned.features(states, held_out.answers)
    weights = {POOLED: learned.heads.weights.mean(0)} | {
        name: head.weights for name, head in learned.own.items()
    }
    scores = {head: table @ weight for head, weight in weights.items()}
    used_A = rule(learned.heads, vectors(states[learned.layer], held_out.answers))
    threshold = learned.fit.head.thresholds
    names = sorted({*_names(train), *_names(held_out)})

    def by_group(score_A: Floats) -> dict[str, Json]:
        right = agreement(held_out, terms, score_A, threshold).right
        return {
            name: accuracy(held_out, right, _members(held_out, name)).to_json() for name in names
        }

    of_heads = {head: by_group(score_A) for head, score_A in scores.items()}
    used = by_group(used_A)
    return {
        "dimension": dimension,
        "measured_on": MEASURED_ON,
        "learned_from": {name: int(_members(train, name).sum()) for name in names},
        "heads": {name: _own(head) for name, head in learned.own.items()},
        "accuracy": {name: {head: of_heads[head][name] for head in of_heads} for name in names},
        "used": used,
        "worst": _worst(used),
        "unknown": [name for name in names if used[name]["value"] is None],
    }


def _names(sample: Sample) -> list[str]:
    return sorted({name for name in sample.group if name})


def _members(sample: Sample, group: str) -> NDArray[np.bool_]:
    return np.array([own == group for own in sample.group], dtype=bool)


def _own(head: OwnHead) -> Json:
    return {
        "judgements": head.judgements,
        "gain": head.gain.to_json(),
        "asked_for": head.asked_for,
    }


def _worst(used: Mapping[str, Json]) -> Json | None:
    """The group whose judgements the reward agrees with least, of those that are known."""
    known = {name: cell for name, cell in used.items() if cell["value"] is not None}
    if not known:
        return None
    name = min(known, key=lambda each: (known[each]["value"], each))
    return {"group": name, "accuracy": known[name]}
