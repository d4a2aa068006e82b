"""A reward model in a folder, and as a reward: it reads with the weights that it was trained on, and others
are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from truing.models.features import answer_features
from truing.models.language_model import LanguageModel
from truing.models.tensor_files import opened_tensors, write_tensors_atomically
from truing.prompts.rendering import Renderer
from truing.rewards.learned.adapter import RewardAdapter
from truing.rewards.learned.head import Heads, Rule, Standard, as_arrays
from truing.rewards.learned.sample import Said, requests
from truing.rewards.reward import Answered
from truing.types import InputError, Score, Unscored

FILE = "heads.safetensors"
VERSION, ADAPTED = 1, 2
"""Of heads on the frozen base, and with an adapter, which what reads the first alone must refuse. To be
raised when heads of an older folder would be fed with other features than they know."""
_ADAPTER, _GROUP = "adapter/", "groups/"
_REMEDY = "train it again with 'truing train reward'"


@dataclass(frozen=True)
class RewardModel:
    """Heads, what they read, and how their scores become one.

    `weights` is the hash of the base's weights, `model` its name, `facts` what is known of the model for
    people; `adapter` is what the base reads with, where it isn't read as it is.
    """

    heads: Heads
    layer: int
    model: str
    weights: str
    rule: Rule = field(default_factory=Rule)
    facts: Mapping[str, Any] | None = None
    adapter: RewardAdapter | None = None

    def scores(self, vectors_BV: NDArray[Any]) -> NDArray[np.float64]:
        """(B,) rewards of answers with these vectors: an answer's mean state and its last one."""
        return self.rule(self.heads, vectors_BV)


@dataclass(frozen=True)
class LearnedReward:
    """A reward model with the base that reads answers for it."""

    model: RewardModel
    renderer: Renderer

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        """One reward for each answer; an empty one is unscored, and so is one beyond the context."""
        scores: list[Score] = [Unscored("empty answer")] * len(answers)
        read: dict[Said, list[int]] = {}
        for place, each in enumerate(answers):
            if not each.answer.strip():
                continue
            said = (each.case.messages or (("user", each.case.prompt),), each.answer)
            if reason := self._unreadable(said):
                scores[place] = Unscored(reason)
            else:
                read.setdefault(said, []).append(place)
        ordered = sorted(read)
        if ordered:
            wanted = requests(self.renderer, ordered)
            values = self.model.scores(answer_features(self._network, wanted, self.model.layer))
            for said, value in zip(ordered, values.tolist(), strict=True):
                for place in read[said]:
                    scores[place] = float(value)
        return scores

    @cached_property
    def _network(self) -> LanguageModel:
        """What reads answers."""
        base, adapter = self.renderer.model, self.model.adapter
        return base if adapter is None else adapter.on(base)

    def _unreadable(self, said: Said) -> str:
        [request] = requests(self.renderer, [said])
        tokens = len(request.prompt) + len(request.continuations[0])
        most = self.renderer.model.context_length
        return f"{tokens} tokens, and the context holds {most}" if tokens > most else ""


def save(model: RewardModel, folder: Path) -> None:
    """Writes the folder's one file: heads and adapter, and all the rest in its metadata."""
    adapter = model.adapter
    metadata = {
        "version": VERSION if adapter is None else ADAPTED,
        "model": model.model,
        "weights": model.weights,
        "layer": model.layer,
        "pooling": model.heads.pooling,
        "combine": model.rule.combine,
        "caution": model.rule.caution,
        "aggregate": model.rule.aggregate,
        **({"sharing": model.rule.sharing} if model.rule.sharing else {}),
        "facts": model.facts or {},
    }
    tensors: dict[str, Any] = {**as_arrays(model.heads)}
    if adapter is not None:
        metadata["adapter"] = {"rank": adapter.rank, "alpha": adapter.alpha}
        tensors |= {_ADAPTER + name: value.numpy() for name, value in adapter.parameters.items()}
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    write_tensors_atomically(folder / FILE, tensors, texts)


def load(folder: Path) -> RewardModel:
    """The inverse of `save`. Raises InputError where the folder holds none, or one that isn't whole."""
    file = folder / FILE
    if not file.is_file():
        raise InputError(
            f"{folder}: holds no reward model (no {FILE}); give the folder that 'truing train reward' names"
        )
    with opened_tensors(file, "np", _REMEDY) as stored:
        try:
            return _in(stored)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{file}: not a reward model ({error}); {_REMEDY}") from None


def _in(stored: Any) -> RewardModel:
    said = {name: json.loads(text) for name, text in stored.metadata().items()}
    if said["version"] not in (VERSION, ADAPTED):
        raise ValueError(
            f"version {said['version']!r}, and this Truing reads {VERSION} and {ADAPTED}"
        )
    tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # no mapping
    own = _below(_GROUP, tensors)
    standard = Standard(tensors["mean"], tensors["scale"])
    heads = Heads(said["pooling"], standard, tensors["weights"], own)
    if (
        heads.weights.shape[1:] != standard.mean.shape
        or standard.scale.shape != standard.mean.shape
    ):
        raise ValueError("its heads are of another size than what they read")
    return RewardModel(
        heads,
        int(said["layer"]),
        str(said["model"]),
        str(said["weights"]),
        _rule(said),
        said["facts"],
        _adapter(said.get("adapter"), tensors) if said["version"] == ADAPTED else None,
    )


def _rule(said: Mapping[str, Any]) -> Rule:
    sharing = int(said.get("sharing", 0))
    return Rule(said["combine"], float(said["caution"]), said["aggregate"], sharing)


def _below(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _adapter(said: Any, tensors: Mapping[str, Any]) -> RewardAdapter:
    values = {n: torch.from_numpy(t) for n, t in _below(_ADAPTER, tensors).items()}
    return RewardAdapter(int(said["rank"]), float(said["alpha"]), values)


def opened(
    renderer: Renderer, weights: Callable[[], str], folder: Path, where: str
) -> LearnedReward:
    """The reward in a folder, read by a base whose weights have this hash; see `checked`."""
    return LearnedReward(checked(folder, weights, where), renderer)


def checked(folder: Path, weights: Callable[[], str] | None, where: str) -> RewardModel:
    """The reward model in a folder, for a base whose weights have this hash, if it is known.

    Raises InputError, naming `where` the spec asks for it, where it was trained on others.
    """
    try:
        model = load(folder)
    except InputError as error:
        raise InputError(f"{where}.from: {error}") from None
    if weights is not None and model.weights != weights():
        raise InputError(
            f"{where}.from: {folder}: learned from the states of {model.model}, and these are other "
            "weights; train a reward model on these"
        )
    return model
