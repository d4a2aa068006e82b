"""Several processes that train one policy together, each on a share of every batch.

Prompts are shared out to be answered and rewarded. Then every process holds the whole batch and
computes its credit, so that baselines see what they would see in one process; the learning passes are
shared out again and the gradients summed. The update is that of one process up to rounding. Processes
are started by `accelerate launch` (or torchrun), which also says which device is whose.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import nn

from truing.types import InputError

Item = TypeVar("Item")
Made = TypeVar("Made")


class Ranks:
    """One process among `count`; `index` is its number and `device` where it computes."""

    def __init__(self) -> None:
        launched = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._state = PartialState(cpu=not torch.cuda.is_available()) if launched else None

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self._state.num_processes if self._state else 1

    @property
    def index(self) -> int:
        """This process's number, from 0. The first writes the files."""
        return self._state.process_index if self._state else 0

    def share(self, rows: Sequence[Item]) -> Sequence[Item]:
        """This process's part of the rows: neighbours, because they share prompts."""
        first = len(rows) * self.index // self.count
        return rows[first : len(rows) * (self.index + 1) // self.count]

    def shared_out(
        self, rows: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Made]]
    ) -> list[Made]:
        """What `work` makes of all rows, in order; each process works on its share.

        `work` gets no rows where there are fewer rows than processes. An InputError in one of them is
        raised in all, so that none waits for the others for ever.
        """
        if self.count == 1:
            return list(work(rows))
        made: list[Made] = []
        mistake = ""
        try:
            made = list(work(self.share(rows)))
        except InputError as error:
            mistake = str(error)
        parts: list[tuple[list[Made], str]] = gather_object([(made, mistake)])
        for _, found in parts:
            if found:
                raise InputError(found)
        return [item for part, _ in parts for item in part]

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its sum over the processes (none counts as 0)."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.copy_(reduce(parameter.grad, "sum"))

    def sum_figures(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Sums of named numbers over the processes."""
        if self.count == 1:
            return dict(figures)
        total: dict[str, float] = {}
        for part in gather_object([dict(figures)]):
            for name, value in part.items():
                total[name] = total.get(name, 0.0) + value
        return total

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self._state:
            self._state.wait_for_everyone()
