"""`truing export`: a candidate as other programs and other machines load it.

As it is (whole weights, or an adapter beside the name of its base), merged, or as one GGUF file. The
candidate's instruction and demonstrations are in the chat template; its end token is in the settings.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from truing.candidates import (
    RECORD,
    Candidate,
    open_candidate,
    save_settings,
    template_with,
    whole_folder,
)
from truing.files import read_json, write_json_atomically, write_text_atomically
from truing.models.identity import ADAPTER
from truing.models.precision import torch_dtype
from truing.models.user_cache import room_for
from truing.models.weights.adapter_folders import AdapterFolder, is_adapter
from truing.models.weights.gguf_writing import write_gguf
from truing.models.weights.hub import check_repository, push_to_hub
from truing.models.weights.resolving import portable_name
from truing.progress import Progress, StderrProgress
from truing.types import Dtype, InputError

Form = Literal["merged", "gguf", "adapter"]


@dataclass(frozen=True)
class Exported:
    """What was written, and where it was pushed, if it was."""

    path: Path
    form: Form
    base: str
    pushed: str | None

    def to_json(self) -> dict[str, Any]:
        """The document of `truing export --json`."""
        return {
            "path": str(self.path),
            "form": self.form,
            "base_model": self.base,
            "pushed": self.pushed,
        }


def export(
    name: str,
    out: Path,
    form: Form,
    *,
    dtype: Dtype = "float32",
    push: str | None = None,
    accept_licence: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Writes the candidate called `name` to `out`, whole or not at all, and pushes it where wanted.

    Raises InputError where there is no such candidate, it has no such form, or `out` is taken;
    ModelUnavailable where the disk or the network fails.
    """
    progress = progress or StderrProgress()
    if form == "gguf" and out.suffix != ".gguf":
        raise InputError(f"OUT: {out}: name the file that is written, ending in .gguf")
    if out.exists() or out.is_symlink():
        raise InputError(f"OUT: {out} is there already; give a new one")
    if push is not None:
        check_repository(push)
    folder = Path(name).expanduser()
    if form == "adapter":
        _export_adapter(folder, out)
    else:
        with progress.task(f"Loading {name}"):
            candidate, _ = open_candidate(name, 0, "float32", accept_licence=accept_licence)
        with progress.task(f"Writing {out}"):
            write = _write_file if form == "gguf" else _write_folder
            write(candidate, name, out, dtype)
    if push is not None:
        with progress.task(f"Pushing to {push}"):
            push = push_to_hub(out, push)
    return Exported(out, form, base_of(name), push)


def base_of(name: str) -> str:
    """What another machine calls the base of a candidate."""
    folder = Path(name).expanduser()
    if (folder / RECORD).is_file():
        return portable_name(str(read_json(folder / RECORD).get("model", "unknown")))
    return portable_name(AdapterFolder.open(folder).base if is_adapter(folder) else name)


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """See `whole_folder`. Raises InputError where nothing can be written there."""
    try:
        with whole_folder(out) as folder:
            yield folder
    except (PermissionError, NotADirectoryError) as error:
        raise InputError(f"OUT: {out} can't be written ({error.strerror})") from None


def _bytes(candidate: Candidate, dtype: Dtype) -> int:
    count = sum(parameter.numel() for parameter in candidate.model.model.parameters())
    return count * (4 if dtype == "float32" else 2)


def _write_folder(candidate: Candidate, name: str, out: Path, dtype: Dtype) -> None:
    model = candidate.model
    with _whole(out) as folder, room_for(name, folder, _bytes(candidate, dtype)):
        model.model.to(torch_dtype(dtype))  # type: ignore[arg-type]  # as transformers declares it
        model.model.save_pretrained(folder, safe_serialization=True)
        save_settings(folder, model, candidate.prompt)
        write_text_atomically(folder / "README.md", _card(candidate, name))


def _write_file(candidate: Candidate, name: str, out: Path, dtype: Dtype) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    template = template_with(candidate.model, candidate.prompt)
    with room_for(name, out.parent, _bytes(candidate, dtype)):
        write_gguf(candidate.model, template, out, dtype)


def _export_adapter(folder: Path, out: Path) -> None:
    """An adapter's folder, with the name of its base as another machine knows it."""
    if not (folder / ADAPTER).is_file():
        raise InputError(
            f"{folder}: holds no adapter (no {ADAPTER}); give --merged or --gguf for whole weights"
        )
    adapter = AdapterFolder.open(folder)
    with _whole(out) as made:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name != RECORD and not path.name.startswith("."):
                shutil.copyfile(path, made / path.name)
        settings = adapter.settings | {"base_model_name_or_path": base_of(str(folder))}
        write_json_atomically(made / ADAPTER, settings)


def _card(candidate: Candidate, name: str) -> str:
    """README.md with the front matter that model hubs read, and nothing of this machine."""
    base = base_of(name)
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            f"base_model: {base}",
            "tags: [truing]",
            "---",
            f"# {Path(base).name}, {candidate.name}",
            "",
            f"Weights of {base}, aligned with Truing; any adapter is merged into them.",
            "",
            f"- Instruction: {candidate.prompt.instruction or '(none)'}",
            f"- Few-shot examples: {len(candidate.prompt.shots)}",
            "",
            "The chat template writes the instruction and examples in front of any conversation that "
            "has no system message of its own.",
            "",
        ]
    )
