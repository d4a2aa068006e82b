"""What the safetensors files of a model's folder hold, read from their headers, and whether it is what the
configuration beside them says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from truing.files import read_json
from truing.types import InputError

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
FLOATS = ("F64", "F32", "F16", "BF16")
"""The precisions in which weights are numbers by themselves, as safetensors calls them."""
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Stored:
    """A tensor's shape and precision, and the file that holds it."""

    shape: Shape
    dtype: str
    file: Path


def weight_files(folder: Path) -> list[Path]:
    """The files that `transformers` would load: those of the index, or the one, or all there are.

    Some folders hold a second copy of the weights in another layout.
    """
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        return [folder / name for name in sorted({str(n) for n in index["weight_map"].values()})]
    return sorted(folder.glob("*.safetensors"))


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor in the folder's weights. Raises InputError for a file that isn't whole."""
    tensors: dict[str, Stored] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118  # it is no mapping
                    part = file.get_slice(name)
                    tensors[name] = Stored(tuple(part.get_shape()), part.get_dtype(), path)
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{path}: not a whole safetensors file ({error}); copy or save it again"
            ) from None
    return tensors


def is_stored_in(dtype: str, folder: Path) -> bool:
    """Whether all the folder's weights are stored in a precision, as safetensors calls it (BF16)."""
    found: set[str] = set()
    for path in weight_files(folder):
        with safe_open(path, framework="numpy") as file:
            found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return found == {dtype}


def stored_numbers(folder: Path) -> int:
    """How many numbers the folder's weights are."""
    return sum(prod(tensor.shape) for tensor in stored_tensors(folder).values())


def check_precision(folder: Path) -> None:
    """Raises InputError where weights are stored in fewer bits than are supported."""
    for name, tensor in stored_tensors(folder).items():
        if name.endswith("weight") and tensor.dtype not in FLOATS:
            raise InputError(
                f"{tensor.file}: {name} is stored as {tensor.dtype}, and quantised weights aren't "
                "supported; give the model in float32, float16 or bfloat16"
            )


def check_sizes(folder: Path) -> None:
    """Raises InputError where the weights aren't those of the model that config.json describes.

    Of models whose weights `transformers` stores under other names than it uses, only what has the same
    name is looked at.
    """
    model = _described(folder)
    if model is None:
        return
    stored = stored_tensors(folder)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if not stored.keys() & expected.keys():  # saved without the head: names lack the body's prefix
        stored = {f"{model.base_model_prefix}.{name}": each for name, each in stored.items()}
    for message in _differences(folder, stored, expected, _ignored(model)):
        raise InputError(f"{message}; config.json and weights belong to different models, or one of them "
                         "was changed: copy both again")  # fmt: skip


def _described(folder: Path) -> Any:
    """The model of config.json without numbers; None where `transformers` knows none, or one whose
    weights are put together from what is stored."""
    # Imported here: loads all of transformers, and most mistakes are seen without.
    import torch
    from transformers.conversion_mapping import get_model_conversion_mapping

    from truing.models.footprint import Footprint, config_of

    try:
        model = Footprint.of(config_of(folder), torch.float32).model
    except InputError:
        return None  # loading says why
    return None if get_model_conversion_mapping(model, add_legacy=False) else model


def _ignored(model: Any) -> list[str]:
    """Patterns of stored names that `transformers` leaves out for this kind of model."""
    return list(getattr(model, "_keys_to_ignore_on_load_unexpected", None) or ())


def _differences(
    folder: Path,
    stored: Mapping[str, Stored],
    expected: Mapping[str, Shape],
    ignored: list[str],
) -> Iterator[str]:
    for name, tensor in stored.items():
        if name in expected and tensor.shape != expected[name]:
            yield (
                f"{tensor.file}: {name} has the shape {list(tensor.shape)}, by {folder / 'config.json'} "
                f"it is {list(expected[name])}"
            )
    # A layer too many or too few: a name that differs from a known one in its number.
    kinds, known = set(map(_kind, stored)), set(map(_kind, expected))
    for name in expected:
        if name not in stored and _kind(name) in kinds:
            yield f"{folder}: its weights lack {name}, which {folder / 'config.json'} asks for"
    for name, tensor in stored.items():
        left_out = any(re.search(pattern, name) for pattern in ignored)
        if name not in expected and _kind(name) in known and not left_out:
            yield f"{tensor.file}: {name} is nothing that {folder / 'config.json'} asks for"


def _kind(name: str) -> str:
    """A tensor's name without the number of its layer."""
    return re.sub(r"\.\d+\.", ".N.", name)
