"""What of a model's work fits into this machine's memory, or a card's: `truing doctor --model`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from truing.models import devices
from truing.models.engine.attention import use_plans
from truing.models.engine.decoder import Decoder
from truing.models.engine.int8 import why_not
from truing.models.engine.memory import available_bytes, gigabytes
from truing.models.footprint import Footprint, Need, Texts, config_of
from truing.models.precision import torch_dtype
from truing.models.tensor_files import UNREADABLE
from truing.models.weights.adapter_folders import AdapterFolder, is_adapter
from truing.models.weights.catalogue import CATALOGUE, Entry, converted_folder
from truing.models.weights.folders import HUB_NAME, check_config, fetch_from_hub
from truing.models.weights.resolving import unknown_model
from truing.policies.footprint import learning
from truing.progress import SilentProgress
from truing.spec.run import AdapterSpec
from truing.types import InputError

STEP = Texts(prompts=4, answers=8, tokens=256)
LONG = 8000
"""Tokens of a long text that is learned from, where the model's context holds so many."""


@dataclass(frozen=True)
class Fit:
    """What one kind of work takes, against what is free."""

    need: Need
    free: int

    @property
    def fits(self) -> bool:
        """Whether it does."""
        return self.need.total <= self.free

    def to_json(self) -> dict[str, Any]:
        """One entry of `truing doctor --model M --json`."""
        return {**self.need.to_json(), "fits": self.fits}


@dataclass(frozen=True)
class ModelFits:
    """The same for all kinds of work with a model on one device."""

    model: str
    device: str
    precision: str
    free: int
    fits: tuple[Fit, ...]
    processes: int = 1

    def to_json(self) -> dict[str, Any]:
        """`truing doctor --model M --json`, under `model`."""
        return {
            "name": self.model,
            "device": self.device,
            "precision": self.precision,
            "free_bytes": self.free,
            **({"processes": self.processes} if self.processes > 1 else {}),
            "work": [fit.to_json() for fit in self.fits],
        }

    def lines(self) -> list[str]:
        """The same for a person."""
        title = f"{self.model} in {self.precision}, {gigabytes(self.free)} free on {self.device}"
        if self.processes > 1:
            title += f", each of {self.processes} processes that share out its layers"
        return [f"{title}:"] + [
            f"{'fits' if fit.fits else 'too much':8}  {fit.need.what}: {fit.need.in_words()}"
            for fit in self.fits
        ]


def what_fits(name: str, device: torch.device | None = None, processes: int = 1) -> ModelFits:
    """Scoring, sampling and learning with the model called `name`, without loading or fetching weights:
    what each of so many `processes` takes that share out its layers.

    Raises InputError where there is no such model, or where its sizes aren't known yet;
    ModelUnavailable where the hub can't be asked for them.
    """
    device = device or devices.device()
    dtype = torch_dtype("bfloat16")
    free = available_bytes(device)
    footprint = Footprint.of(_config(name), dtype, device.type, processes)
    _check_followed(footprint.model, name)
    try:
        fits = tuple(Fit(need, free) for need in _needs(footprint, device))
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"model: {name}: what fits can't be worked out from its config.json ({reason})"
        ) from error
    return ModelFits(name, str(device), str(dtype).removeprefix("torch."), free, fits, processes)


def _check_followed(model: PreTrainedModel, name: str) -> None:
    """Raises InputError for a model that remembers by other means than keys and values."""
    if getattr(model, "_is_stateful", False) or not use_plans(model):
        raise InputError(
            f"model: {name}: {model.config.model_type!r} models are run text by text, and what "
            "their passes take isn't worked out; of others 'truing doctor' says it"
        )


def _needs(footprint: Footprint, device: torch.device) -> Iterator[Need]:
    answers = f"{STEP.prompts} x {STEP.answers} answers of {STEP.tokens} tokens"
    lora, full = AdapterSpec(kind="lora"), AdapterSpec(kind="full")
    context = getattr(footprint.config.get_text_config(), "max_position_embeddings", None) or LONG
    long = min(LONG, int(context))
    text = Texts(1, 1, long - 64)
    yield _named("scoring", footprint.scoring())
    yield _named(f"rollout, {answers}", footprint.rollout(STEP))
    for what, texts, adapter, again in (
        (f"learning, LoRA, {answers}", STEP, lora, False),
        (f"learning, LoRA, {answers}, with checkpointing", STEP, lora, True),
        (f"learning, all weights, {answers}, with checkpointing", STEP, full, True),
        (f"learning, LoRA, a text of {long:,} tokens, with checkpointing", text, lora, True),
    ):
        yield _named(what, learning(footprint, texts, adapter, checkpointing=again))
    if footprint.processes == 1 and Decoder.supports(footprint.model) and not why_not(device):
        whole = Footprint.of(footprint.config, torch.float32, footprint.device)
        sampler = "float32 with compute.sampler int8"
        yield _named(f"rollout, {answers}, {sampler}", whole.rollout(STEP, int8=True))
        step = learning(whole, STEP, lora, checkpointing=True, int8=True)
        yield _named(f"learning, LoRA, {answers}, with checkpointing, {sampler}", step)


def _named(what: str, need: Need) -> Need:
    return Need(what, need.parts)


def _config(name: str) -> PreTrainedConfig:
    if name in CATALOGUE:
        return _of_catalogue(CATALOGUE[name])
    folder = Path(name).expanduser()
    if is_adapter(folder):
        return _config(AdapterFolder.open(folder).base)
    if name and folder.is_dir():
        check_config(folder)
        return config_of(folder)
    if not HUB_NAME.fullmatch(name) or folder.exists():
        raise InputError(unknown_model(name, folder))
    return config_of(fetch_from_hub(name, SilentProgress(), ["config.json"]))


def _of_catalogue(entry: Entry) -> PreTrainedConfig:
    folder = converted_folder(entry)
    if not (folder / "config.json").is_file():
        size = entry.download_bytes / 1e6
        raise InputError(
            f"model: {entry.name} isn't on this machine yet, and its sizes come with its weights "
            f"({size:,.0f} MB); the first command that uses it fetches them"
        )
    return config_of(folder)
