"""From a model's name to a folder that plain transformers loads: of the catalogue, a local folder, a run's
candidate, a peft adapter, or the Hugging Face hub.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from truing.files import read_json
from truing.models.user_cache import weights_hash
from truing.models.weights.adapter_folders import (
    AdapterFolder,
    is_adapter,
    merged_folder,
    tokenizer_folder,
)
from truing.models.weights.catalogue import CATALOGUE, ModelSource, from_catalogue
from truing.models.weights.folders import HUB_NAME, check_folder, fetch_from_hub, licence_of
from truing.progress import Progress, StderrProgress
from truing.types import InputError, did_you_mean

CANDIDATE = "candidate.json"
"""Stands in a run's candidate folder: its base, its prompt."""


def resolve_model(
    name: str, *, accept_licence: bool = False, progress: Progress | None = None
) -> ModelSource:
    """The model called `name`: a catalogue name, a local folder, or a Hugging Face id org/name.

    Raises InputError where the name, the folder, a checksum or the licence's acceptance is wrong,
    ModelUnavailable where the network or the disk fails. Progress goes to standard error.
    """
    progress = progress or StderrProgress()
    if name in CATALOGUE:
        return from_catalogue(CATALOGUE[name], accept_licence, progress)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        folder = folder.resolve()
        if (folder / CANDIDATE).is_file() or is_adapter(folder):
            return _derived(name, folder, accept_licence, progress)
        return _checked(name, folder, "folder", progress)
    if HUB_NAME.fullmatch(name) and not folder.exists():
        return _checked(name, fetch_from_hub(name, progress), "hub", progress)
    raise InputError(unknown_model(name, folder))


def _checked(
    name: str, folder: Path, kind: Literal["folder", "hub"], progress: Progress
) -> ModelSource:
    """A whole model in a folder. What can't be used is refused before its weights are hashed."""
    # Imported here: loads PyTorch, which `truing models` does without.
    import torch

    from truing.models import devices
    from truing.models.room import check_room

    check_folder(folder)
    check_room(folder, torch.bfloat16, devices.device())
    return ModelSource(name, folder, licence_of(folder), weights_hash(folder, progress), kind)


def _derived(name: str, folder: Path, accept_licence: bool, progress: Progress) -> ModelSource:
    """A run's candidate or a peft adapter, as a plain model folder in the user's cache."""
    if (folder / CANDIDATE).is_file():
        base, licence = _candidate_base(name, folder, progress), licence_of(folder)
        tokenizer = base  # the candidate's own template has its prompt written into it
    else:
        source = adapter_base(folder, accept_licence=accept_licence, progress=progress)
        base, licence = source.folder, source.licence
        tokenizer = tokenizer_folder(folder, base)
    made = merged_folder(base, folder, tokenizer, progress)
    return ModelSource(name, made, licence, weights_hash(made, progress), "folder")


def _candidate_base(name: str, folder: Path, progress: Progress) -> Path:
    record = read_json(folder / CANDIDATE)
    base = Path(str(record.get("base", "")))
    if not base.is_dir():
        raise InputError(f"{folder}: its base weights are no longer at {base}; fetch them again")
    prompt = record.get("prompt") or {}
    if prompt.get("instruction") or prompt.get("shots"):
        progress.note(f"{name}: its own prompt is left out; the task's instruction replaces it.")
    return base


def adapter_base(folder: Path, *, accept_licence: bool, progress: Progress) -> ModelSource:
    """The model that a peft adapter belongs on. Raises InputError where the adapter can't be merged, or
    naming what it calls its base where that can't be had."""
    adapter = AdapterFolder.open(folder)
    try:
        return resolve_model(adapter.base, accept_licence=accept_licence, progress=progress)
    except InputError as error:
        raise adapter.no_base(error) from None


def portable_name(name: str) -> str:
    """A model's name as another machine can resolve it: the hub's for one of the catalogue, and a whole
    path for a folder, which is at least the same everywhere on this one."""
    if name in CATALOGUE:
        return CATALOGUE[name].hub
    folder = Path(name).expanduser()
    return str(folder.resolve()) if name and folder.is_dir() else name


def unknown_model(name: str, folder: Path) -> str:
    """What to say of a name that is no model's."""
    if name and folder.exists():
        return f"model: {name} is a file; name the folder that holds config.json and *.safetensors"
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        return f"model: {name}: no such folder"
    hint = did_you_mean(name, CATALOGUE, cutoff=0.5)
    return (
        f"model: unknown model {name!r}; {hint}the catalogue has {', '.join(CATALOGUE)}; or name a "
        "local folder of safetensors or a Hugging Face id org/name"
    )
