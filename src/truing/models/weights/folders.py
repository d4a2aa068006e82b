"""Model folders that the user brings: a local one, or one from the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from truing.files import is_disk_full, json_value
from truing.models.user_cache import ModelUnavailable
from truing.models.weights.tensors import INDEX, check_precision, check_sizes
from truing.progress import Progress
from truing.types import InputError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Any one of these makes a tokenizer; each tokenizer class knows its own."""
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
HUB_FILES = (
    *("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt"),
    *("chat_template*", "README.md", "LICENSE*", "LICENCE*"),
)
"""What is fetched from the hub: never code, never pickled weights."""
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


_OBJECTS = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
"""Files that a model folder may have, and that hold a JSON object then."""


def check_folder(folder: Path) -> None:
    """Raise InputError unless plain transformers can load a model and a tokenizer from `folder`."""
    check_config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern))
        if pickled:
            raise InputError(
                f"{folder}: holds pickled weights ({pickled[0]}), which can run code when they are "
                "read and are refused; save the model as safetensors "
                "(model.save_pretrained(folder) in transformers does)"
            )
        raise InputError(f"{folder}: no weights; a model folder holds at least one *.safetensors")
    _check_shards(folder)
    check_precision(folder)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise InputError(
            f"{folder}: no tokenizer; a model folder holds tokenizer.json (or "
            f"{', '.join(TOKENIZER_FILES[1:])}): tokenizer.save_pretrained(folder) writes it"
        )
    check_sizes(folder)


def check_config(folder: Path) -> None:
    """Raises InputError unless a model folder's JSON files are there and say what can be loaded."""
    path = folder / "config.json"
    if not path.is_file():
        if (folder / "adapter_config.json").is_file():
            raise InputError(
                f"{folder}: holds an adapter, not a whole model; name the model that the adapter "
                "was trained from, or the candidate folder around it"
            )
        if not any(folder.iterdir()):
            raise InputError(f"{folder}: the folder is empty; a model folder holds config.json, "
                             "*.safetensors and tokenizer.json")  # fmt: skip
        raise InputError(f"{folder}: no config.json; a model folder holds one beside its weights")
    config = read_object(path)
    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{path}: model_type: missing; it names the architecture, such as 'llama'")
    _check_quantization(path, config)
    for name in _OBJECTS:
        if (folder / name).exists():
            read_object(folder / name)


def _check_quantization(path: Path, config: Mapping[str, Any]) -> None:
    """Weights that are stored in fewer bits would be loaded by code of other packages."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        if (how := part.get("quantization_config")) is not None:
            method = how.get("quant_method", "unknown") if isinstance(how, dict) else how
            raise InputError(
                f"{path}: quantization_config: weights quantised by {method!r} aren't supported; give the "
                "model in float32, float16 or bfloat16 (compute.base_precision: nf4 holds that in 4 bits "
                "while a low-rank adapter is trained on it)"
            )


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file that came with a model. Raises InputError where there is none."""
    try:
        data = json_value(path.read_text(encoding="utf-8"), None)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as JSON ({error})") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: should be a JSON object, not {type(data).__name__}")
    return data


def _check_shards(folder: Path) -> None:
    """Every shard that the index names must be there."""
    index = folder / INDEX
    if not index.is_file():
        return
    shards = read_object(index).get("weight_map")
    if not isinstance(shards, dict):
        raise InputError(f"{index}: weight_map: missing; it maps each tensor to its file")
    for name in sorted(set(map(str, shards.values()))):
        if Path(name).name != name:
            raise InputError(f"{index}: weight_map: {name!r} isn't the name of a file beside it")
        if not (folder / name).is_file():
            raise InputError(f"{folder}: {name} is missing, which {index.name} names; copy it too")


def licence_of(folder: Path) -> str:
    """The licence that the folder's README.md states in its front matter, else 'unknown'."""
    try:
        lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return "unknown"
    if not lines or lines[0].strip() != "---":
        return "unknown"
    for line in lines[1:]:
        if line.strip() == "---":
            break
        if line.startswith("license:"):
            return line.removeprefix("license:").strip().strip("'\"") or "unknown"
    return "unknown"


def fetch_from_hub(name: str, progress: Progress, files: Sequence[str] = HUB_FILES) -> Path:
    """The folder of the model `org/name` in Hugging Face's own cache, its `files` fetched where needed.

    Without a network the copy in that cache serves, if it is whole. Raises InputError where the
    hub knows no such model or wants the user's consent, ModelUnavailable on any other failure.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        with progress.task(f"Fetching {name} from the Hugging Face hub"):
            # "*/*": some models keep a second copy of the weights in a sub-folder.
            folder = snapshot_download(name, allow_patterns=list(files), ignore_patterns=["*/*"])
    except GatedRepoError:
        raise InputError(
            f"{name}: its owner asks for consent first: accept the licence on the model's page on "
            "the Hugging Face hub, log in with 'hf auth login' and try again"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise InputError(
            f"{name}: the Hugging Face hub knows no such model (or it is private: log in with "
            "'hf auth login'); a model there is named org/name"
        ) from None
    except Exception as error:  # whatever the network libraries raise, the user needs one message
        if is_disk_full(error):
            raise ModelUnavailable(
                f"{name}: the disk is full; make room or set HF_HOME to a folder on a larger disk"
            ) from error
        raise ModelUnavailable(
            f"{name}: can't be fetched from the Hugging Face hub and no whole copy is in its cache "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}); look at the network "
            "and try again, or name a local folder"
        ) from error
    return Path(folder)
