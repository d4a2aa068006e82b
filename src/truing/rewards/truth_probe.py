"""The default reward: two probes on the frozen base model, for truth and for informativeness.

    reward = truth * log p(true) + informative * log p(informative) - unfinished * [cut off]

Truth alone can be had by saying nothing ('there are many views on this'), informativeness alone by
saying anything; the sum of the logarithms is high only where both are likely. The truth probe learns
from the labelled answers of the training split; the informativeness probe from the same answers
against answers that say nothing and answers to other questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from truing.data.uninformative import off_topic, phrases_for_training
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import Embed, Features, answer_features, middle_layer
from truing.models.tensor_files import opened_tensors, write_tensors_atomically
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.probe import Agreement, Probe, fit_probe
from truing.rewards.reward import Answered
from truing.spec.reward import RewardSpec
from truing.types import Case, InputError, Score, Unscored

PROBE_FILE = "reward.safetensors"
_TRUE, _FALSE, _EMPTY = 1, 0, -1  # what an answer of the training set is


@dataclass(frozen=True)
class Embedder:
    """Features of (question, answer) pairs under the frozen base model."""

    renderer: Renderer
    prompt: Prompt

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """(pairs, 2 E). Neighbouring pairs with the same question share its pass."""
        model = self.renderer.model
        return answer_features(model, self.requests(pairs), middle_layer(model))

    def requests(self, pairs: Sequence[tuple[str, str]]) -> list[PromptWithContinuations]:
        """Tokens of the pairs, a request for each run of pairs with the same question."""
        renderer = self.renderer
        return [
            renderer.scoring_request(
                renderer.tokens(self.prompt, question), [answer for _, answer in group], end=True
            )
            for question, group in groupby(pairs, key=itemgetter(0))
        ]


@dataclass(frozen=True)
class TruthProbe:
    """The fitted probes and how well they agree with held-out labels."""

    embed: Embed
    spec: RewardSpec
    truth: Probe
    informative: Probe
    agreement: dict[str, Agreement]
    labels: int

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """One reward for each answer; an empty answer is unscored."""
        full = [place for place, answered in enumerate(answers) if answered.answer]
        scores: list[Score] = [Unscored("empty answer")] * len(answers)
        if not full:
            return scores
        features = self.embed([(answers[p].case.prompt, answers[p].answer) for p in full])
        total = self.spec.truth * self.truth.log_probability(features)
        total += self.spec.informative * self.informative.log_probability(features)
        for place, value in zip(full, total, strict=True):
            cut_off = 0.0 if answers[place].finished else self.spec.unfinished
            scores[place] = float(value) - cut_off
        return scores


def fit_truth_probe(
    renderer: Renderer, prompt: Prompt, cases: Sequence[Case], spec: RewardSpec
) -> TruthProbe:
    """Fits both probes on labelled answers of the training cases."""
    embed = Embedder(renderer, prompt)
    pairs, kinds, groups = [], [], []
    for number, case in enumerate(
        cases
    ):  # all of a question's answers together: they share its pass
        nothing = [*phrases_for_training(case, 3), *off_topic(case, cases, 1)]
        answers = [*case.correct_answers, *case.incorrect_answers, *nothing]
        pairs += [(case.prompt, answer) for answer in answers]
        kinds += [_TRUE] * len(case.correct_answers) + [_FALSE] * len(case.incorrect_answers)
        kinds += [_EMPTY] * len(nothing)
        groups += [number] * len(answers)
    features, kind, group = embed(pairs), np.array(kinds), np.array(groups)
    says = kind != _EMPTY
    truth, truth_agreement = fit_probe(
        features[says], (kind[says] == _TRUE).astype(np.int64), group[says]
    )
    informative, informative_agreement = fit_probe(features, says.astype(np.int64), group)
    agreement = {"truth": truth_agreement, "informative": informative_agreement}
    return TruthProbe(embed, spec, truth, informative, agreement, int(says.sum()))


def save_truth_probe(model: TruthProbe, folder: Path) -> None:
    """Writes `reward.safetensors`: both probes, and the agreement in its metadata."""
    tensors = {
        f"{name}/{part}": np.atleast_1d(np.asarray(getattr(probe, part)))
        for name, probe in (("truth", model.truth), ("informative", model.informative))
        for part in ("mean", "scale", "weights", "bias")
    }
    facts = {name: agreement.to_json() for name, agreement in model.agreement.items()}
    metadata = {"agreement": json.dumps(facts), "labels": str(model.labels)}
    write_tensors_atomically(folder / PROBE_FILE, tensors, metadata)


def load_truth_probe(folder: Path, embed: Embed, spec: RewardSpec) -> TruthProbe:
    """The inverse of `save_truth_probe`, on the same frozen base model.

    Raises InputError where the file isn't whole.
    """
    file = folder / PROBE_FILE
    again = "put it back, or remove the mark of the stage 'reward', and it is fitted again"
    with opened_tensors(file, "np", again) as stored:
        try:
            return _truth_probe_in(stored, embed, spec)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InputError(f"{file}: not a truth probe ({error}); {again}") from None


def _truth_probe_in(stored: Any, embed: Embed, spec: RewardSpec) -> TruthProbe:
    metadata = stored.metadata()
    probes = {
        name: Probe(
            mean=stored.get_tensor(f"{name}/mean"),
            scale=stored.get_tensor(f"{name}/scale"),
            weights=stored.get_tensor(f"{name}/weights"),
            bias=float(stored.get_tensor(f"{name}/bias")[0]),
        )
        for name in ("truth", "informative")
    }
    facts = json.loads(metadata["agreement"])
    agreement = {name: Agreement(**fact) for name, fact in facts.items()}
    return TruthProbe(
        embed, spec, probes["truth"], probes["informative"], agreement, int(metadata["labels"])
    )
