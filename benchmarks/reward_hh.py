"""A reward model on the harmless-base comparisons of Bai et al. (2022), beside length and a bag of words.

    python benchmarks/reward_hh.py --data ../shared/data/hh_rlhf

Prompts (how conversations begin) are dealt to five parts. Each is judged by heads, and by baselines, that
were fitted to the other four, with what they see, ridge and temperature chosen by cross-validation within
those: a part never enters what it is measured by. Wanted: more accurate than the bag of words by a paired
interval above 0, and a calibration error of at most 0.05.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from truing.candidates import open_candidate
from truing.models.memo.features import FeatureStore
from truing.models.precision import numerics
from truing.progress import StderrProgress
from truing.rewards.learned.baselines import BASELINES, RIDGES
from truing.rewards.learned.fitting import fit
from truing.rewards.learned.judgements import Judgement
from truing.rewards.learned.measuring import Agreement, Pairs, agreement, difference, figures
from truing.rewards.learned.reader import StateReader, layers_of
from truing.rewards.learned.reading import read_judgements
from truing.rewards.learned.sample import Sample, readable
from truing.rewards.learned.training import States, learned
from truing.spec.reward_model import RewardModelSpec
from truing.terminal import say

FILE = "harmless-base_test.jsonl.gz"
PARTS = 5
OURS = "reward model"


def main() -> int:
    """Prints every figure as JSON; the exit code says whether both targets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--layers", type=int, nargs="*", default=[])
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    section = RewardModelSpec(
        judgements=str(options.data / FILE), layers=options.layers, dtype=options.dtype, heads=1
    )
    progress = StderrProgress()
    candidate, identity = open_candidate(options.model, 0, section.dtype)
    layers = layers_of(candidate.model, section.layers)
    reader = StateReader(
        candidate.renderer,
        identity.weights,
        identity.hash,
        numerics(section.dtype),
        layers,
        progress,
        FeatureStore(),
    )
    read = readable(read_judgements(section.judgements), reader.renderer, section.max_tokens)
    answers = Sample.of(read.judgements).answers
    states = {n: dict(zip(answers, reader(answers, n), strict=True)) for n in layers}
    document = measured(read.judgements, states, section)
    say(json.dumps({"left_out": dict(read.left_out), **document}, indent=2))
    gain, error = document["over words"]["accuracy"], document[OURS]["calibration_error"]
    return 0 if gain["low"] > 0 and error["value"] <= 0.05 else 1


def measured(
    judgements: Sequence[Judgement], states: States, section: RewardModelSpec
) -> dict[str, Any]:
    """The figures over all judgements, each as the heads say that weren't fitted to its part."""
    fold_J, _ = Sample.of(judgements).folds(PARTS)
    order = [n for part in range(PARTS) for n in np.flatnonzero(fold_J == part)]
    parts = [_part(judgements, fold_J == part, states, section) for part in range(PARTS)]
    whole = Sample.of([judgements[n] for n in order])
    terms = whole.likelihood(section.ties)
    said = {name: _joined([part[0][name] for part in parts]) for name in parts[0][0]}
    document: dict[str, Any] = {
        name: {key: each.to_json() for key, each in figures(whole, terms, own).__dict__.items()}
        for name, own in said.items()
    }
    for name in BASELINES:
        document[f"over {name}"] = {
            "accuracy": difference(whole, said[OURS].right, said[name].right).to_json(),
            "loss": difference(whole, said[name].loss, said[OURS].loss).to_json(),
        }
    return {"judgements": len(whole), "chosen": [chosen for _, chosen in parts], **document}


def _part(
    judgements: Sequence[Judgement], own_J: Any, states: States, section: RewardModelSpec
) -> tuple[dict[str, Agreement], list[Any]]:
    """What heads and baselines fitted to the rest say of one part, and what was chosen for it."""
    train = Sample.of([each for each, own in zip(judgements, own_J, strict=True) if not own])
    test = Sample.of([each for each, own in zip(judgements, own_J, strict=True) if own])
    terms = test.likelihood(section.ties, like=train.likelihood(section.ties))
    heads = learned(train, states, section, 0)
    score_A = heads.features(states, test.answers) @ heads.heads.weights[0]
    said = {OURS: agreement(test, terms, score_A, heads.fit.head.thresholds)}
    for name, make in BASELINES.items():
        tables = make(train.answers, test.answers)
        own = {key: table for key, (table, _) in tables.items()}
        best = fit(train, own, RIDGES[name], section.ties, section.folds)
        score_A = np.asarray(tables[best.feature][1] @ best.head.weights)
        said[name] = agreement(test, terms, score_A, best.head.thresholds)
    return said, [heads.fit.feature, heads.fit.ridge, round(heads.fit.scale, 3)]


def _joined(parts: Sequence[Agreement]) -> Agreement:
    """Several parts' agreements one behind the other."""
    starts = np.cumsum([0, *(len(part.right) for part in parts)])
    pairs = Pairs(
        np.concatenate([part.pairs.stated for part in parts]),
        np.concatenate([part.pairs.outcome for part in parts]),
        np.concatenate([part.pairs.weight for part in parts]),
        np.concatenate([p.pairs.judgement + s for p, s in zip(parts, starts, strict=False)]),
    )
    right, loss = (np.concatenate([getattr(p, key) for p in parts]) for key in ("right", "loss"))
    return Agreement(right, loss, pairs)


if __name__ == "__main__":
    sys.exit(main())
