"""The best parameters so far, by a score that the caller gives."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from truing.models.tensor_files import opened_tensors, write_tensors_atomically


class BestCheckpoint:
    """One safetensors file whose metadata holds the step and the score. Ties keep the earlier step."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def _metadata(self) -> dict[str, str]:
        if not self.file.exists():
            return {}
        with opened_tensors(
            self.file, "pt", "delete it to do without the best step so far"
        ) as stored:
            return dict(stored.metadata())

    def offer(self, step: int, score: float | None, parameters: dict[str, nn.Parameter]) -> None:
        """Keeps the parameters where the score is the best yet; None is never kept."""
        known = self._metadata()
        if score is None or (known and score <= float(known["score"])):
            return
        metadata = {"step": str(step), "score": repr(score)}
        write_tensors_atomically(self.file, parameters, metadata)

    def restore(self, parameters: dict[str, nn.Parameter]) -> int:
        """Brings the kept parameters back; returns their step, 0 where none were kept."""
        known = self._metadata()
        if not known:
            return 0
        with torch.no_grad():
            for name, tensor in load_file(self.file).items():
                parameters[name].copy_(tensor)
        return int(known["step"])
