"""What reads answers for a reward model that is trained: hidden states of one frozen model, remembered on
disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.models.engine.packing import HIDDEN_TOKENS, packs
from truing.models.features import Features, answer_features, depth
from truing.models.language_model import LanguageModel
from truing.models.memo.features import FeatureStore, StoredFeatures
from truing.progress import Progress
from truing.prompts.rendering import Renderer
from truing.rewards.learned.adapter import RewardAdapter
from truing.rewards.learned.sample import Said, requests
from truing.types import InputError


@dataclass(frozen=True)
class StateReader:
    """Vectors of answers at several layers. `weights` is the hash of the model's weights, `filed_under`
    that of all which decides its states, `dtype` the precision it was loaded in."""

    renderer: Renderer
    weights: str
    filed_under: str
    dtype: str
    layers: tuple[int, ...]
    progress: Progress
    store: FeatureStore

    def __call__(self, answers: Sequence[Said], layer: int) -> Features:
        """(answers, 2 E) in float32: mean and last state. Neighbours of one conversation share its pass."""
        wanted = requests(self.renderer, answers)
        features = StoredFeatures(
            self.renderer.model, self.filed_under, self.dtype, layer, self.store
        )
        what = f"Reading answers at layer {layer}"
        with self.progress.task(what, total=len(wanted)) as advance:
            return features(wanted, lambda done: advance(done))

    def under(self, adapter: RewardAdapter, answers: Sequence[Said], layer: int) -> Features:
        """The same by the model with an adapter, which isn't remembered."""
        network = adapter.on(self.renderer.model)
        wanted = requests(self.renderer, answers)
        rows: list[Features] = []
        done = 0
        with self.progress.task("Reading answers with the adapter", total=len(wanted)) as advance:
            for pack in packs(wanted, HIDDEN_TOKENS):
                rows.append(answer_features(network, pack, layer))
                advance(done := done + len(pack))
        return np.concatenate(rows)


def layers_of(model: LanguageModel, wanted: Sequence[int]) -> tuple[int, ...]:
    """The layers to read at: those that are wanted, or the one at two thirds of the depth, where what
    people like is told apart better than in the middle (see LOG.md). Raises InputError for one that the
    model hasn't."""
    most = depth(model)
    for layer in wanted:
        if layer > most:
            raise InputError(
                f"reward_model.layers: {layer}: the model has {most} layers; give numbers from 1 to {most}"
            )
    return tuple(dict.fromkeys(wanted)) or (max(1, round(2 / 3 * most)),)
