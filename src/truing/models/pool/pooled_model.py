"""A model whose packs are run by workers. Its own weights are loaded only where something else is asked of
them than scores and samples."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count
from typing import Any

import torch

from truing.models import devices
from truing.models.engine.packing import PACK_TOKENS
from truing.models.engine.room import Room, fitting_rows_in
from truing.models.engine.threads import threads_each
from truing.models.engine.tree import SharedPrefix, Tokens
from truing.models.language_model import LanguageModel
from truing.models.loading import read_outline, read_tokenizer
from truing.models.pool.changes import Change
from truing.models.pool.functions import Pack, SamplePack, ScorePack
from truing.models.pool.jobs import PooledFiles
from truing.models.pool.messages import Message
from truing.models.pool.model_files import ModelFiles
from truing.models.pool.pool import WorkerPool
from truing.models.precision import computed_in, torch_dtype
from truing.models.sample_plan import Rows, SamplePlan
from truing.models.sampling import Sampling
from truing.models.scoring import Scored, ScorePlan, long_shared
from truing.models.templates.speech import Speech

_OF_WEIGHTS = ("model", "decoder", "unpacked", "_logits")
"""What a LanguageModel has of its weights: made when first asked for."""


class PooledModel(LanguageModel):
    """Scores and samples in a pool's workers, by the very plans that one process with as many threads
    makes."""

    def __init__(self, files: ModelFiles, pool: WorkerPool) -> None:
        """Raises InputError where the tokenizer or the configuration can't be read."""
        self._files, self._pool = files, pool
        precision = computed_in(files.dtype)
        identity = files.identity.hash
        opening = {
            "files": {**files.to_json(), "dtype": precision},
            "identity": identity,
            "fast": precision == "bfloat16",
        }
        self._hold(PooledFiles(f"{identity}|{precision}", opening))
        self.tokenizer = read_tokenizer(files.tokenizer)
        self.dtype = torch_dtype(files.dtype)
        self.room = Room(PACK_TOKENS)
        config = self._outline.config
        self.context_length = int(getattr(config, "max_position_embeddings", 1 << 30))

    def _hold(self, pooled: PooledFiles) -> None:
        """Has workers keep what they are asked, as long as this is there."""
        self._pooled, self.elsewhere = pooled, _Packs(self)
        self._pool.hold(pooled)
        weakref.finalize(self, self._pool.release, pooled)

    def changed(self, change: Change) -> PooledModel:
        """The model with an adapter. It scores and samples, and its own weights can't be asked for."""
        base, other = self._pooled, copy.copy(self)
        opening = {**base.opening, "base": base.key, "change": change.to_json()}
        key = f"{base.key}|{change.hash}{'|int8' * change.int8}"
        other._hold(PooledFiles(key, opening, change.tensors))
        return other

    def __getattr__(self, name: str) -> Any:
        """Loads the weights here, once, where something is asked of them that workers don't do."""
        if name not in _OF_WEIGHTS or "change" in self._pooled.opening:
            raise AttributeError(name)
        whole = self._files.load()
        for each in _OF_WEIGHTS:
            self.__dict__[each] = getattr(whole, each)
        return self.__dict__[name]

    @cached_property
    def _outline(self) -> Any:
        """The network without numbers."""
        return read_outline(self._files.weights)

    @cached_property
    def speech(self) -> Speech:
        """See LanguageModel."""
        settings = self._outline.generation_config
        return Speech.of(self.tokenizer, settings.eos_token_id if settings else None)

    @property
    def note(self) -> str:
        """Nothing: the pool tells what there is to tell when a worker has loaded the model."""
        return ""

    @property
    def device(self) -> torch.device:
        """What this process computes on, which is the kind that workers compute on."""
        return devices.device()

    @property
    def workers(self) -> int:
        """How many passes of one model run at once, in each worker."""
        return self._pool.at_once

    @property
    def threads(self) -> int:
        """Of each worker."""
        return self._pool.threads

    @property
    def pack_tokens(self) -> int:
        """Tokens of a pass at most; on cards, as the worker that loaded the model first has room for."""
        most = min(PACK_TOKENS, self.room.tokens)
        if self.device.type == "cpu":
            return most
        return min(most, int(self._pool.about(self._pooled)["pack_tokens"]))

    def fitting_rows(self, tokens: int) -> int:
        """See LanguageModel; as the worker that loaded the model first has room for."""
        about = self._pool.about(self._pooled)
        return fitting_rows_in(about["free_bytes"], about["token_bytes"], tokens)

    def about(self) -> dict[str, Any]:
        """See LanguageModel; a worker says it."""
        return dict(self._pool.about(self._pooled)["about"])

    def shared_prefix(self, prompts: Sequence[Tokens]) -> SharedPrefix | None:
        """Its tokens alone: each worker runs it for itself."""
        tokens = long_shared(prompts)
        return SharedPrefix(tokens, {}) if tokens else None

    def answered(self, packs: Iterable[tuple[Pack, int]]) -> Iterator[tuple[int, Message]]:
        """See WorkerPool.run. Where memory ran out in a worker, passes are smaller from here on."""
        for number, answer in self._pool.run(self._pooled, packs):
            self.room.tokens = min(self.room.tokens, answer.content["room"])
            for sentence in answer.content["notes"]:
                self.room.tell(sentence)
            yield number, answer


class _Packs:
    """See Elsewhere: plans go to the pool pack by pack."""

    def __init__(self, model: PooledModel) -> None:
        # A model that nobody has any more shouldn't wait for the collector.
        self._model = weakref.ref(model)

    def scored(
        self, plans: Iterable[tuple[ScorePlan, SharedPrefix | None]]
    ) -> Iterator[tuple[int, list[list[Scored]]]]:
        """See Elsewhere."""

        def packs() -> Iterator[tuple[list[Pack], int]]:
            for plan, prefix in plans:
                tokens = prefix.tokens if prefix else ()
                yield [ScorePack(tuple(pack), tokens) for pack in plan.packs], plan.together

        return self._gathered(packs(), lambda pack: None)

    def sampled(
        self, plans: Iterable[tuple[SamplePlan, Sampling]], tell: Callable[[int], None]
    ) -> Iterator[tuple[int, list[Rows]]]:
        """See Elsewhere."""

        def packs() -> Iterator[tuple[list[Pack], int]]:
            for plan, sampling in plans:
                yield [SamplePack(part, sampling) for part in plan.parts], plan.together

        def finished(pack: Pack) -> None:
            assert isinstance(pack, SamplePack)
            tell(len(pack.part))

        return self._gathered(packs(), finished)

    def _gathered(
        self, plans: Iterable[tuple[list[Pack], int]], finished: Callable[[Pack], None]
    ) -> Iterator[tuple[int, list[Any]]]:
        """The results of each plan's packs, as soon as they are all there."""
        model = self._model()
        assert model is not None
        results: dict[int, list[Any]] = {}
        missing: dict[int, int] = {}  # how many results of a plan aren't there yet
        # Of a pack: its plan, and where it stands there.
        places: dict[int, tuple[int, int, Pack]] = {}
        empty: list[int] = []

        def packs() -> Iterator[tuple[Pack, int]]:
            numbers = count()
            for plan, (parts, together) in enumerate(plans):
                if not parts:
                    empty.append(plan)
                results[plan], missing[plan] = [None] * len(parts), len(parts)
                threads = threads_each(model.threads, len(parts), together)
                for place, pack in enumerate(parts):
                    places[next(numbers)] = (plan, place, pack)
                    yield pack, threads

        for number, answer in model.answered(packs()):
            plan, place, pack = places.pop(number)
            results[plan][place] = pack.result(answer)
            finished(pack)
            missing[plan] -= 1
            if not missing[plan]:
                del missing[plan]
                yield plan, results.pop(plan)
        for plan in empty:
            yield plan, []
