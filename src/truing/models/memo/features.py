"""Hidden-state features kept on disk: reading 20,000 answers takes minutes, once.

A vector is filed under the weights, the precision, the layer, the version of the code and the tokens.
It is kept in half precision, which is far finer than what probes and similarities see, and is rounded
before it is first used, so that a second reading gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truing.models.engine.packing import HIDDEN_TOKENS, packs
from truing.models.engine.tree import PromptWithContinuations
from truing.models.features import Features, answer_features
from truing.models.language_model import LanguageModel
from truing.models.memo.disk import DiskStore, token_key

FEATURES_VERSION = 3
"""To be raised when the code that computes features gives others than before."""
_LARGEST = float(np.finfo(np.float16).max)


class FeatureStore(DiskStore[Features]):
    """Feature vectors (2 E,) in half precision by key."""

    NAME = "features"
    COLUMN = "vector BLOB"

    def _read(self, stored: Any) -> Features:
        return np.frombuffer(stored, dtype=np.float16)

    def _written(self, value: Features) -> bytes:
        return value.astype(np.float16).tobytes()


@dataclass(frozen=True)
class StoredFeatures:
    """Features of one model at one layer, computed where the store doesn't have them.

    `weights` is the hash of the weights, `dtype` the precision they were loaded in.
    """

    model: LanguageModel
    weights: str
    dtype: str
    layer: int
    store: FeatureStore

    def __call__(
        self,
        requests: Sequence[PromptWithContinuations],
        advance: Callable[[int], object] = lambda done: None,
    ) -> Features:
        """(continuations, 2 E) as `answer_features` gives them, float32 rounded to half precision.

        Kept pass by pass, so that an interrupted reading goes on; `advance` hears how many requests
        are done. Every continuation needs at least one token.
        """
        settings = f"{FEATURES_VERSION}|{self.weights}|{self.dtype}|{self.layer}"
        rows: list[Features] = []
        done = 0
        for pack in packs(requests, HIDDEN_TOKENS):
            keys = [[token_key(settings, r.prompt, c) for c in r.continuations] for r in pack]
            known = self.store.known([key for row in keys for key in row])
            if fresh := self._computed(pack, keys, known):
                self.store.add(fresh)
                known |= fresh
            rows += [known[key] for row in keys for key in row]
            done += len(pack)
            advance(done)
        return np.array(rows, dtype=np.float32)

    def _computed(
        self,
        pack: Sequence[PromptWithContinuations],
        keys: Sequence[Sequence[bytes]],
        known: dict[bytes, Features],
    ) -> dict[bytes, Features]:
        missing = [
            {key: c for key, c in zip(row, request.continuations, strict=True) if key not in known}
            for row, request in zip(keys, pack, strict=True)
        ]
        requests = [
            PromptWithContinuations(request.prompt, list(lacking.values()))
            for request, lacking in zip(pack, missing, strict=True)
            if lacking
        ]
        if not requests:
            return {}
        found = answer_features(self.model, requests, self.layer)
        # A model with huge activations would overflow; the sign and order of the rest still tell.
        half = found.clip(-_LARGEST, _LARGEST).astype(np.float16)
        return dict(zip((key for lacking in missing for key in lacking), half, strict=True))
