"""Training that can be killed at any moment: parameters, optimizer and log, saved together.

A checkpoint is one safetensors file, replaced whole; its metadata holds the step and the log up to
it. Because every source of trajectories is a function of the step, going on from a checkpoint gives
the same numbers as never having stopped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from truing.files import write_file_atomically, write_text_atomically


class Checkpoint:
    """The state of one training in a folder: `state.safetensors` and the log beside it."""

    def __init__(self, folder: Path, log: Path, every: int = 10) -> None:
        self.folder = folder
        self.log = log
        self.every = every
        self.rows: list[dict[str, Any]] = []
        self.restored_rows = 0

    @property
    def file(self) -> Path:
        """The saved state."""
        return self.folder / "state.safetensors"

    def note(self, row: dict[str, Any]) -> None:
        """Adds a row to the log, which is written with the next save."""
        self.rows.append(row)

    def maybe_save(
        self, step: int, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
    ) -> None:
        """Saves at every `every`-th step."""
        if step % self.every == 0:
            self.save(step, parameters, optimizer)

    def save(
        self, step: int, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
    ) -> None:
        """Writes parameters, optimizer moments and log as one file, then the readable log."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in parameters.items():
            tensors[f"parameter/{name}"] = parameter.detach().contiguous()
            for kind, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{kind}/{name}"] = value.contiguous()
        metadata = {"step": str(step), "log": json.dumps(self.rows)}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_file_atomically(self.file, lambda path: save_file(tensors, path, metadata))
        self._write_log()

    def annotate(self, step: int, **facts: Any) -> None:
        """Adds facts to the row of a step in the readable log."""
        for row in self.rows:
            if row["step"] == step:
                row |= facts
        self._write_log()

    def parameters(self) -> dict[str, Tensor]:
        """The saved parameters alone."""
        with safe_open(self.file, framework="pt") as stored:
            keys = [key for key in stored.keys() if key.startswith("parameter/")]  # noqa: SIM118
            return {key.partition("/")[2]: stored.get_tensor(key) for key in keys}

    def _write_log(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(self.log, "".join(json.dumps(row) + "\n" for row in self.rows))

    def restore(self, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
        """Brings parameters, optimizer and log back; returns the step saved, 0 where there is none."""
        if not self.file.exists():
            return 0
        try:
            with safe_open(self.file, framework="pt") as stored:
                metadata = stored.metadata()
                tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        except SafetensorError:
            return 0  # a file from another program or version: start anew
        state: dict[Tensor, Any] = {}
        with torch.no_grad():
            for key, tensor in tensors.items():
                part, _, rest = key.partition("/")
                if part == "parameter":
                    parameters[rest].copy_(tensor)
                else:
                    kind, _, name = rest.partition("/")
                    state.setdefault(parameters[name], {})[kind] = tensor
        optimizer.state.update(state)
        self.rows = json.loads(metadata["log"])
        self.restored_rows = len(self.rows)
        self._write_log()
        return int(metadata["step"])
