"""Whether a model's weights fit into the memory that is free, found out before they are loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from truing.models.engine.memory import available_bytes, gigabytes
from truing.models.weights.tensors import stored_numbers
from truing.types import InputError

_PLENTY = 3  # times the weights: no more is asked of what can't fail


def check_room(
    folder: Path, dtype: torch.dtype, device: torch.device, *, copied: bool = True
) -> None:
    """Raises InputError where a model's weights, and the copies that passes make of them on a processor
    where they are `copied`, are more than what is free on the device."""
    numbers = stored_numbers(folder)
    weights, free = numbers * dtype.itemsize, available_bytes(device)
    if _PLENTY * weights <= free:
        return
    copies = _copies(folder, dtype, device) if copied else 0
    if weights + copies <= free:
        return
    beside = f" and {gigabytes(copies)} of copies that passes make of them" if copies else ""
    fit = numbers * free / (weights + copies) / 1e9
    precision = str(dtype).removeprefix("torch.")
    less = ", and in bfloat16 it takes half" if dtype == torch.float32 else ""
    raise InputError(
        f"model: {folder} doesn't fit: {gigabytes(weights)} of weights in {precision}{beside} are more "
        f"than the {gigabytes(free)} that are free on {device}; about {fit:.1f} billion parameters would "
        f"fit, this model has {numbers / 1e9:.1f}{less}"
    )


def _copies(folder: Path, dtype: torch.dtype, device: torch.device) -> int:
    # Imported here: it knows of passes, and they of models that are loaded.
    from truing.models.footprint import Footprint, config_of

    try:
        return Footprint.of(config_of(folder), dtype, device.type).copies()
    except InputError:
        return 0  # loading says why it can't be used
