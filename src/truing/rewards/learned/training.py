"""From judgements and the states of their answers to a reward model's heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from truing.models.features import Features
from truing.rewards.learned.fitting import Fit, fit, resampled_heads, temperature
from truing.rewards.learned.groups import OwnHead, around_each, own_heads
from truing.rewards.learned.head import Heads, Standard, pooled
from truing.rewards.learned.sample import Said, Sample
from truing.spec.reward_model import Pooling, RewardModelSpec
from truing.statistics.judgement_likelihood import Likelihood
from truing.statistics.linear_scores import LinearScores, fitted
from truing.types import InputError

Floats = NDArray[np.float64]
States = Mapping[int, Mapping[Said, Features]]
"""Vectors of answers by layer."""


@dataclass(frozen=True)
class Learned:
    """The heads that were fitted, at which layer, how they were chosen, and every group's own head,
    whether judgements asked for it or not."""

    heads: Heads
    layer: int
    fit: Fit
    own: Mapping[str, OwnHead]

    def features(self, states: States, answers: Sequence[Said]) -> Floats:
        """(A, E) what the heads see of answers."""
        return self.heads.standard(pooled(vectors(states[self.layer], answers), self.heads.pooling))


def check_adapter(train: Sample, section: RewardModelSpec) -> None:
    """Raises InputError where an adapter has no prompt left to be scaled on."""
    if section.adapter is not None and len(set(train.prompt)) < 2:
        raise InputError(
            "reward_model.adapter: scales its scores on prompts that it doesn't learn from, and there "
            "is one prompt to learn from; give judgements of several, or leave the adapter out"
        )


def vectors(states: Mapping[Said, Features], answers: Sequence[Said]) -> Features:
    """(A, 2 E) the vectors of answers, one below the other."""
    return np.stack([states[answer] for answer in answers])


def learned(
    train: Sample,
    states: States,
    section: RewardModelSpec,
    seed: int,
    advance: Callable[[int], object] = lambda done: None,
) -> Learned:
    """Fits everything to the training side, as the spec's section says."""
    kinds: dict[str, tuple[int, Pooling, Standard]] = {}
    tables: dict[str, Floats] = {}
    for layer, of_answers in states.items():
        every = vectors(of_answers, train.answers)
        for pooling in section.pooling:
            seen, name = pooled(every, pooling), f"layer {layer}, {pooling}"
            kinds[name] = (layer, pooling, Standard.of(seen))
            tables[name] = kinds[name][2](seen)
    best = fit(train, tables, section.ridge, section.ties, section.folds, advance)
    layer, pooling, standard = kinds[best.feature]
    table = tables[best.feature]
    weights_HE = resampled_heads(train, table, best, section.ties, section.heads, seed)
    own = own_heads(train, table, best, section.ties, section.folds)
    groups = {
        name: around_each(train, table, best, section.ties, name, weights_HE)
        for name, head in own.items()
        if head.asked_for
    }
    return Learned(Heads(pooling, standard, weights_HE, groups), layer, best, own)


@dataclass(frozen=True)
class LearningSide:
    """Of a training side, what an adapter learns from: the terms of its judgements, its `answers` by their
    places, and the head on frozen states that fits them. What is left out scales it: the answers of
    other prompts, and the terms of theirs, in that order."""

    terms: Likelihood
    answers: tuple[int, ...]
    start: LinearScores
    left_out: tuple[Said, ...]
    left_out_terms: Likelihood

    @staticmethod
    def of(
        train: Sample, states: States, frozen: Learned, section: RewardModelSpec
    ) -> LearningSide:
        """All folds of prompts but the first. There are two prompts or more; see `check_adapter`."""
        fold_J, fold_A = train.folds(section.folds)
        terms = train.likelihood(section.ties)
        own, others = (
            terms.weighted(side.astype(np.float64)) for side in (fold_J > 0, fold_J == 0)
        )
        start = fitted(own, frozen.features(states, train.answers), frozen.fit.ridge)
        places = np.flatnonzero(fold_A == 0).tolist()
        left_out = tuple(train.answers[place] for place in places)
        answers = tuple(np.flatnonzero(fold_A > 0).tolist())
        return LearningSide(own, answers, start, left_out, others.among(places))

    def scaled(self, states: States, frozen: Learned, head: LinearScores) -> Learned:
        """What was learned with an adapter, from its `states` of what was left out: one head, scaled until
        it is calibrated there."""
        terms = self.left_out_terms
        score_A = frozen.features(states, self.left_out) @ head.weights
        scale, thresholds = temperature(terms, score_A)
        calibrated = LinearScores(head.weights * scale, thresholds)
        loss = float(terms.losses(score_A * scale, thresholds).sum() / terms.judged)
        best = frozen.fit
        fit = Fit(best.feature, best.ridge, scale, calibrated, score_A, loss, best.tried)
        heads = Heads(frozen.heads.pooling, frozen.heads.standard, calibrated.weights[None])
        return Learned(heads, frozen.layer, fit, {})
