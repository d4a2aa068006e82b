"""Training that can be killed at any moment: parameters, optimizer and log, saved together.

A checkpoint is one safetensors file, replaced whole; its metadata holds the step and the log up to
it. Because every source of trajectories is a function of the step, going on from a checkpoint gives
the same numbers as never having stopped. How long steps took isn't the same each time, so that
stands in a file of its own beside the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from truing.files import write_jsonl_atomically
from truing.learn.objectives.objective import Objective
from truing.learn.tracking.tracking import Tracking
from truing.models.tensor_files import write_tensors_atomically
from truing.runs.ranks import Ranks
from truing.runs.row_shard import shape_of
from truing.types import InputError

TIMINGS = ("seconds", "cpu_seconds", "tokens_per_second")
"""Keys of a row that go to the file of times."""


class Checkpoint:
    """The state of one training in a folder: `state.safetensors`, and the log where `log` says.

    `identity` says what the training depends on (a spec's digest): another's checkpoint is refused.
    `tracking` is shown every row, `after_save` is called once state and log are written. Where `writes`
    is False, nothing is written or shown (another process does). The file has parameters whole, also
    where processes hold some rows each: as many processes as one likes go on from it.
    """

    def __init__(
        self,
        folder: Path,
        log: Path,
        every: int = 10,
        *,
        identity: str = "",
        tracking: Tracking | None = None,
        after_save: Callable[[], object] = lambda: None,
    ) -> None:
        self.folder = folder
        self.log = log
        self.every = every
        self.identity = identity
        self.tracking = tracking
        self.after_save = after_save
        self.ranks = Ranks()
        self.writes = True
        self.rows: list[dict[str, Any]] = []
        self.times: list[dict[str, Any]] = []
        self.restored_rows = 0

    @property
    def file(self) -> Path:
        """The saved state."""
        return self.folder / "state.safetensors"

    @property
    def stop(self) -> str:
        """Why training ended before its last step; empty where it didn't."""
        return str(self.rows[-1].get("stop", "")) if self.rows else ""

    @property
    def times_log(self) -> Path:
        """How long each step took."""
        return self.log.with_suffix(".times.jsonl")

    def note(self, row: dict[str, Any]) -> None:
        """Adds a row to the log, which is written with the next save, and shows it to the trackers."""
        times = {key: row.pop(key) for key in TIMINGS if key in row}
        self.rows.append(row)
        self.times.append({"step": row["step"], **times})
        if self.tracking is None or not self.writes:
            return
        if not self.tracking.begun:
            self.tracking.begin(self._with_times()[:-1])
        self.tracking.add(row | times)

    def _with_times(self) -> list[dict[str, Any]]:
        return [row | times for row, times in zip(self.rows, self.times, strict=True)]

    @contextmanager
    def tracked(self) -> Iterator[None]:
        """While it trains; then the trackers are told whether it came to its end."""
        finished = False
        try:
            yield
            finished = True
        finally:
            if self.tracking and self.writes:
                self.tracking.end(self._with_times(), finished)

    def maybe_save(
        self,
        step: int,
        parameters: dict[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        objective: Objective,
    ) -> None:
        """Saves at every `every`-th step."""
        if step % self.every == 0:
            self.save(step, parameters, optimizer, objective)

    def save(
        self,
        step: int,
        parameters: dict[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        objective: Objective,
    ) -> None:
        """Writes all that training depends on and the log as one file, then the readable log."""
        tensors = {f"objective/{name}": value for name, value in objective.state().items()}
        for name, parameter in parameters.items():
            tensors[f"parameter/{name}"] = self.ranks.whole(parameter, parameter)
            for kind, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{kind}/{name}"] = self.ranks.whole(parameter, value)
        if not self.writes:
            return
        metadata = {
            "step": str(step),
            "identity": self.identity,
            "log": json.dumps(self.rows),
            "times": json.dumps(self.times),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_tensors_atomically(self.file, tensors, metadata)
        self._write_log()
        self.after_save()

    @property
    def saved_step(self) -> int:
        """The step that `restore` would go on behind, 0 where nothing is saved."""
        try:
            with safe_open(self.file, framework="pt") as stored:
                return int((stored.metadata() or {}).get("step", 0))
        except (OSError, SafetensorError, ValueError):
            return 0

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
        if self.writes:
            write_jsonl_atomically(self.log, list(self.rows))
            write_jsonl_atomically(self.times_log, list(self.times))

    def restore(
        self,
        parameters: dict[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        objective: Objective,
    ) -> int:
        """Brings everything back; returns the step saved, 0 where there is none.

        Raises InputError, with everything as it was, where the checkpoint is another training's.
        """
        if not self.file.exists():
            return 0
        try:
            with safe_open(self.file, framework="pt") as stored:
                metadata = stored.metadata() or {}
                tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
        except SafetensorError:
            return 0  # torn, though that takes a broken disk: start anew
        self._check(metadata, tensors, parameters, objective)
        state: dict[Tensor, Any] = {}
        learned: dict[str, Tensor] = {}
        with torch.no_grad():
            for key, tensor in tensors.items():
                part, _, rest = key.partition("/")
                if part == "parameter":
                    parameters[rest].copy_(self.ranks.own_part(parameters[rest], tensor))
                elif part == "objective":
                    learned[rest] = tensor
                else:
                    kind, _, name = rest.partition("/")
                    parameter = parameters[name]
                    own = self.ranks.own_part(parameter, tensor)
                    state.setdefault(parameter, {})[kind] = own.to(parameter.device)
        optimizer.state.update(state)
        if learned:
            objective.load(learned)
        self.rows = json.loads(metadata["log"])
        self.times = json.loads(metadata["times"])
        self.restored_rows = len(self.rows)
        self._write_log()
        return int(metadata["step"])

    def _check(
        self,
        metadata: dict[str, str],
        tensors: dict[str, Tensor],
        parameters: dict[str, nn.Parameter],
        objective: Objective,
    ) -> None:
        begin_anew = "give another folder, or delete the file to begin anew"
        if not {"step", "identity", "log", "times"} <= metadata.keys():
            raise InputError(f"{self.file}: not a checkpoint of this program; {begin_anew}")
        if metadata["identity"] != self.identity:
            raise InputError(
                f"{self.file}: a checkpoint of another spec ({metadata['identity'] or 'unnamed'}, "
                f"this one is {self.identity or 'unnamed'}); {begin_anew}"
            )
        saved = {
            key: tuple(tensor.shape)
            for key, tensor in tensors.items()
            if not key.startswith("optimizer/")
        }
        ours = {f"parameter/{name}": shape_of(value) for name, value in parameters.items()}
        ours |= {
            f"objective/{name}": tuple(value.shape) for name, value in objective.state().items()
        }
        for name in sorted(saved.keys() | ours.keys()):
            if saved.get(name) != ours.get(name):
                raise InputError(
                    f"{self.file}: '{name}' has the shape {saved.get(name, 'of none')} there "
                    f"and {ours.get(name, 'of none')} in this training; {begin_anew}"
                )
