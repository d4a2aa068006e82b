"""Weights and tokenizers out of folders: numbers and texts, never code that lies beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from truing.files import read_json
from truing.models import devices
from truing.models.engine.making import ONE_AT_A_TIME
from truing.models.precision import torch_dtype
from truing.models.room import check_room
from truing.models.tensor_files import UNREADABLE
from truing.types import Dtype, InputError


def read_weights(folder: Path, dtype: Dtype, *, to_share_out: bool = False) -> PreTrainedModel:
    """The model in a folder of safetensors. `to_share_out`: on the processor, because the device needn't
    hold all of it. Raises InputError where there is none, or it needs code."""
    _check_kernels(folder / "config.json")
    device = torch.device("cpu") if to_share_out else devices.device()
    check_room(folder, torch_dtype(dtype), device, copied=not to_share_out)
    try:
        with ONE_AT_A_TIME:
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch_dtype(dtype),
                device_map=_straight_to(device),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except UNREADABLE as error:
        raise _unusable(folder, "can't be loaded", error) from None
    model, report = loaded
    if missing := sorted(report["missing_keys"]):  # transformers fills them with random numbers
        raise InputError(
            f"model: {folder} can't be loaded: its weights lack {missing[0]}, which config.json asks for; "
            "copy both again"
        )
    assert isinstance(model, PreTrainedModel)
    return model


def read_outline(folder: Path) -> Any:
    """The model in a folder without its numbers: what its configuration and generation settings make it.

    Raises InputError as `read_weights` does.
    """
    _check_kernels(folder / "config.json")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        with ONE_AT_A_TIME, torch.device("meta"):
            outline: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        if (settings := folder / "generation_config.json").is_file():
            outline.generation_config = GenerationConfig.from_dict(read_json(settings))
    except UNREADABLE as error:
        raise _unusable(folder, "can't be loaded", error) from None
    return outline


def _straight_to(device: torch.device) -> dict[str, torch.device] | None:
    """Where `transformers` puts each tensor as it reads it; on the processor that is where they are."""
    return None if device.type == "cpu" else {"": device}


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder. Raises InputError where there is none, or it needs code."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except UNREADABLE as error:
        raise _unusable(folder, "has no usable tokenizer", error) from None
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    return tokenizer


def _unusable(folder: Path, what: str, error: Exception) -> InputError:
    if "trust_remote_code" in str(error):
        return InputError(
            f"model: {folder} {what} without running code that lies in it, which Truing never does; "
            "use a model whose architecture and tokenizer transformers itself has"
        )
    return InputError(f"model: {folder} {what} ({' '.join(str(error).split())[:300]})")


def _check_kernels(path: Path) -> None:
    """`attn_implementation` may name a repository, whose code would be fetched and run."""
    if not path.is_file():
        return
    config = read_json(path)
    for key in ("attn_implementation", "_attn_implementation", "experts_implementation"):
        if "/" in str(config.get(key, "")):
            raise InputError(
                f"{path}: {key}: {config[key]!r} is code from a repository, which Truing never runs; "
                "take the key out"
            )
