"""Adapter folders that the user brings: what peft wrote, and the base that it belongs on.

`adapter_config.json` names the base as whoever trained it called it: a hub id, a folder of theirs, or a
name of our catalogue.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truing.models.identity import settings_hash
from truing.models.user_cache import (
    cache_folder,
    flush_folder,
    one_process,
    room_for,
    weights_hash,
)
from truing.models.weights.folders import PICKLED, TOKENIZER_FILES, read_object
from truing.progress import Progress
from truing.types import InputError, stable_hash

if TYPE_CHECKING:  # names of models are resolved before anything heavy is loaded
    from transformers import PreTrainedModel

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_CONFIGURATION = ("config.json", "generation_config.json", "model.safetensors.index.json")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


@dataclass(frozen=True)
class AdapterFolder:
    """A peft adapter in a folder, checked before anything is loaded."""

    folder: Path
    settings: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> AdapterFolder:
        """Raises InputError where the adapter isn't one that can be merged safely."""
        path = folder / CONFIG
        settings = read_object(path)
        if settings.get("peft_type") != "LORA":
            raise InputError(
                f"{path}: peft_type: {settings.get('peft_type')!r} can't be merged into the weights; "
                "give a LoRA adapter, or the merged model"
            )
        if not (folder / WEIGHTS).is_file():
            pickled = next((p for each in PICKLED for p in sorted(folder.glob(each))), None)
            wrong = "pickled weights can run code when they are read and are refused"
            raise InputError(
                f"{pickled or folder / WEIGHTS}: {wrong if pickled else 'missing'}; save the adapter as "
                "safetensors (model.save_pretrained(folder) in peft does)"
            )
        return cls(folder, settings)

    @property
    def base(self) -> str:
        """What the adapter calls its base; a path that is relative to the folder is resolved.

        Raises InputError where it names none.
        """
        name = self.settings.get("base_model_name_or_path")
        if not isinstance(name, str) or not name:
            raise InputError(
                f"{self.folder / CONFIG}: base_model_name_or_path: missing; write a catalogue name, a "
                "Hugging Face id or a folder there"
            )
        beside = self.folder / name
        return str(beside) if name.startswith(".") and beside.is_dir() else name

    def no_base(self, reason: InputError) -> InputError:
        """What to say where the base can't be had."""
        return InputError(
            f"{self.folder / CONFIG}: base_model_name_or_path: {self.base}: can't be had ({reason}); "
            "write another catalogue name, Hugging Face id or folder there"
        )


def merge(base: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """A base with the adapter in `folder` merged into it: each layer in float32, then rounded to what it
    was. Raises InputError where it doesn't fit."""
    import torch
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer
    from safetensors import SafetensorError

    with warnings.catch_warnings():
        # peft still asks for an attribute that transformers has renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        warnings.filterwarnings("ignore", "All adapters are already merged")
        try:
            adapted = PeftModel.from_pretrained(base, folder)
            for layer in adapted.modules():
                if isinstance(layer, BaseTunerLayer) and base.dtype != torch.float32:
                    _merge_in_float32(layer)
            merged = adapted.merge_and_unload()
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"{folder / WEIGHTS}: can't be read as safetensors ({' '.join(str(error).split())}); "
                "save the adapter again"
            ) from None
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{folder}: the adapter doesn't fit its base ({reason}); name the base that it was "
                "trained from in adapter_config.json"
            ) from None
    return merged  # type: ignore[no-any-return]


def _merge_in_float32(layer: Any) -> None:
    """Merges a layer of peft's as if its weights had been float32 all along; one layer at a time needs
    little memory."""
    frozen = [(weight, weight.dtype) for weight in layer.get_base_layer().parameters()]
    for weight, _ in frozen:
        weight.data = weight.data.float()
    layer.merge()
    for weight, dtype in frozen:
        weight.data = weight.data.to(dtype)


def merged_folder(base: Path, weights: Path, tokenizer: Path, progress: Progress) -> Path:
    """A plain model folder in the user's cache, made once: whole weights beside a tokenizer.

    `weights` holds a whole model, or an adapter that is merged into `base` in float32. Raises InputError
    where it doesn't fit, ModelUnavailable where the disk is full.
    """
    adapter = is_adapter(weights)
    hashes = weights_hash(weights, progress), weights_hash(base, progress)
    settings = settings_hash(base if adapter else weights, tokenizer)
    own = (weights / CONFIG).read_text(encoding="utf-8") if adapter else ""
    digest = stable_hash("merged", *hashes, settings, own)[:16]
    target = cache_folder() / "models" / f"merged-{digest}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with one_process(target.name, progress):
        if not (target / "config.json").is_file():
            _make(target, base, weights, tokenizer, progress, adapter=adapter)
    return target


def _make(
    target: Path, base: Path, weights: Path, tokenizer: Path, progress: Progress, *, adapter: bool
) -> None:
    """The finished folder appears in one step."""
    size = sum(path.stat().st_size for path in (base if adapter else weights).glob("*.safetensors"))
    with (
        room_for(str(weights), target.parent, 2 * size),
        tempfile.TemporaryDirectory(prefix=".merging-", dir=target.parent) as staging,
        progress.task(f"Merging {weights}, once"),
    ):
        made = Path(staging) / "model"
        made.mkdir()
        if adapter:
            from truing.models.language_model import LanguageModel

            merged = merge(LanguageModel.load(base, "float32").model, weights)
            merged.save_pretrained(made, safe_serialization=True)
        else:
            for path in sorted(weights.iterdir()):
                if path.suffix == ".safetensors" or path.name in _CONFIGURATION:
                    shutil.copyfile(path, made / path.name)
        _copy_tokenizer(tokenizer, made)
        flush_folder(made)
        made.rename(target)


def _copy_tokenizer(folder: Path, made: Path) -> None:
    from truing.models.language_model import LanguageModel

    LanguageModel.load_tokenizer(folder).save_pretrained(made)


def tokenizer_folder(adapter: Path, base: Path) -> Path:
    """Whose tokenizer belongs to an adapter: its own where it brings one, else its base's."""
    own = any((adapter / name).is_file() for name in TOKENIZER_FILES)
    return adapter if own else base
