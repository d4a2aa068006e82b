"""What decides a model's answers: its weights, and all that says how texts become tokens and back.

Neither names nor places count, nor which version of a library wrote a file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from truing.files import read_json
from truing.models.user_cache import file_sha256, weights_hash
from truing.models.weights.folders import TOKENIZER_FILES
from truing.progress import StderrProgress
from truing.types import stable_hash

ADAPTER = "adapter_config.json"
"""What a folder has whose weights are an adapter of others."""
_ORIGINS = frozenset(
    {
        *("_name_or_path", "transformers_version", "base_model_name_or_path", "peft_version"),
        *("name_or_path", "is_local", "local_files_only", "_from_model_config"),
    }
)
_MODEL = ("config.json", "generation_config.json")
_SMALL = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_TEXTS = ("merges.txt", "chat_template.jinja", "chat_template.json")


@dataclass(frozen=True)
class ModelIdentity:
    """`weights` stands for weights, their configuration and an adapter; `settings` for tokenizer, chat
    template, end tokens, configuration and generation settings."""

    weights: str
    settings: str

    @property
    def hash(self) -> str:
        """64 hexadecimal digits, under which what was computed with the model is filed."""
        return stable_hash("model with settings", self.weights, self.settings)


def settings_of(path: Path) -> str:
    """A configuration's content, without what says where it came from; empty where there is none."""
    if not path.is_file():
        return ""
    content = read_json(path)
    return json.dumps({k: v for k, v in content.items() if k not in _ORIGINS}, sort_keys=True)


def settings_hash(model: Path, tokenizer: Path) -> str:
    """64 hexadecimal digits of the configurations in one folder and the tokenizer in another."""
    parts = [settings_of(model / name) for name in _MODEL]
    parts += [settings_of(tokenizer / name) for name in _SMALL]
    named = [tokenizer / name for name in (*TOKENIZER_FILES, *_TEXTS)]
    for path in (*named, *sorted((tokenizer / "additional_chat_templates").glob("*.jinja"))):
        parts += [path.name, file_sha256(path) if path.is_file() else ""]
    return stable_hash("settings", *parts)


def identity_of(folder: Path, base: Path, tokenizer: Path) -> ModelIdentity:
    """Of the weights in `folder`, which may be an adapter of those in `base`."""
    whole = base if (folder / ADAPTER).is_file() else folder
    return ModelIdentity(weights_of(folder, base), settings_hash(whole, tokenizer))


def weights_of(folder: Path, base: Path | None = None) -> str:
    """A hash of the weights in `folder`, which may be an adapter of those in `base`, and of their
    configuration."""
    adapter = folder / ADAPTER
    parts = [weights_hash(folder, StderrProgress())]
    if adapter.is_file() and base is not None:
        parts += [settings_of(adapter), weights_of(base, base)]
    else:
        parts.append(settings_of(folder / "config.json"))
    return stable_hash("model", *parts)
