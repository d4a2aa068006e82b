"""A reward model fitted inside a run to its own pairs: true answers over false ones, or people's.

The same head on the frozen base's states as that of `truing train reward`, with the same cross-validation
and calibration. Its scores out of fold tell how far it can be followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from truing.data.messages import Turns
from truing.models.features import answer_features
from truing.prompts.rendering import Renderer
from truing.rewards.learned.judgements import Judgement, Judgements, usable
from truing.rewards.learned.reader import layers_of
from truing.rewards.learned.sample import Sample, readable, requests
from truing.rewards.learned.saved import RewardModel
from truing.rewards.learned.training import Floats, learned
from truing.spec.reward_model import RewardModelSpec
from truing.statistics.judgement_likelihood import Ranked
from truing.statistics.means import mean
from truing.types import Case, Estimate


@dataclass(frozen=True)
class Pair:
    """Messages up to the user's last one, and two answers, the better one first."""

    messages: Turns
    better: str
    worse: str
    source: str = ""


@dataclass(frozen=True)
class PairReward:
    """The fitted model, how many answers and pairs it learned from, which were left out, and how often it
    orders a pair of a prompt that it didn't see: the mean over prompts."""

    model: RewardModel
    answers: int
    pairs: int
    left_out: Mapping[str, int]
    accuracy: Estimate


def pairs_of(cases: Sequence[Case]) -> list[Pair]:
    """Every true answer of a case over every false one."""
    return [
        Pair(case.messages or (("user", case.prompt),), better, worse, case.source)
        for case in cases
        for better in case.correct_answers
        for worse in case.incorrect_answers
    ]


def fit_pair_reward(
    renderer: Renderer, name: str, weights: str, pairs: Sequence[Pair], source: str, seed: int
) -> PairReward:
    """Fits a head to pairs; `name` and `weights` (a hash) are those of the model that reads them.

    Raises InputError where none can be learned from.
    """
    section = RewardModelSpec(judgements=source)
    said = [Judgement(p.messages, (p.better, p.worse), (1, 2), source=p.source) for p in pairs]
    read = usable(Judgements(tuple(said), {}, source))
    read = readable(read, renderer, section.max_tokens)
    sample = Sample.of(read.judgements)
    wanted = requests(renderer, sample.answers)
    [layer] = layers_of(renderer.model, section.layers)
    vectors = answer_features(renderer.model, wanted, layer)
    states = {layer: dict(zip(sample.answers, vectors, strict=True))}
    found = learned(sample, states, section, seed)
    accuracy = _accuracy(sample, found.fit.out_of_fold)
    facts = {"source": source, "pairs": len(sample), "accuracy": accuracy.to_json()}
    model = RewardModel(found.heads, layer, name, weights, facts=facts)
    return PairReward(model, len(sample.answers), len(sample), read.left_out, accuracy)


def _accuracy(sample: Sample, score_A: Floats) -> Estimate:
    """How often the better answer's score is the higher one, a tie being half; the mean over prompts."""
    by_prompt: dict[str, list[float]] = {}
    for prompt, opinion in zip(sample.prompt, sample.opinions, strict=True):
        assert isinstance(opinion, Ranked), "pairs are comparisons"
        better, worse = score_A[list(opinion.answers)]
        by_prompt.setdefault(prompt, []).append(float(np.sign(better - worse) + 1) / 2)
    return mean([float(np.mean(shares)) for shares in by_prompt.values()])
