"""How judges outside a run read answers: the vectors of one frozen model, remembered on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from truing.candidates import open_candidate
from truing.models.features import Features, middle_layer
from truing.models.identity import ModelIdentity
from truing.models.memo.features import FeatureStore, StoredFeatures
from truing.models.precision import numerics
from truing.progress import Progress, SilentProgress
from truing.prompts.rendering import Prompt
from truing.rewards.truth_probe import Embedder
from truing.types import Dtype


@dataclass(frozen=True)
class Reader:
    """Vectors of (question, answer) pairs. `identity` is that of the model that reads them."""

    embedder: Embedder
    features: StoredFeatures
    progress: Progress
    identity: ModelIdentity

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Features:
        """(pairs, 2 E) in float32. Neighbouring pairs with the same question share its pass."""
        requests = self.embedder.requests(pairs)
        with self.progress.task("Reading answers", total=len(requests)) as advance:
            return self.features(requests, lambda done: advance(done))


def open_reader(
    model: str,
    dtype: Dtype,
    progress: Progress | None = None,
    *,
    accept_licence: bool = False,
    store: FeatureStore | None = None,
) -> Reader:
    """A reader by a model's name. Raises InputError where there is no such model, or it can't read
    answers side by side."""
    candidate, identity = open_candidate(model, 0, dtype, accept_licence=accept_licence)
    network = candidate.model
    features = StoredFeatures(
        network, identity.hash, numerics(dtype), middle_layer(network), store or FeatureStore()
    )
    embedder = Embedder(candidate.renderer, Prompt())
    return Reader(embedder, features, progress or SilentProgress(), identity)
