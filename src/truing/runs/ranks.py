"""Several processes that train one policy together, each on a share of every batch.

Prompts are shared out to be answered and rewarded. Then every process holds the whole batch and
computes its credit, so that baselines see what they would see in one process; the learning passes are
shared out again and the gradients summed. The update is that of one process up to rounding. Processes
are started by torchrun (or, on cards, `accelerate launch`), which also says which device is whose.

The first alone writes files, while the others wait. An InputError in one of them is raised in all, so
that none waits for the others for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import nn

from truing.types import InputError

Item = TypeVar("Item")
Made = TypeVar("Made")

PATIENCE = timedelta(days=7)
"""How long a process waits for the first, which may have much to do. One that dies is noticed at once,
because its connections close."""


class KnownToAll(InputError):
    """A mistake that has been raised in every process."""


def check_alone(what: str) -> None:
    """Raises InputError where several processes were started for something that one does."""
    if (count := _launched()) > 1:
        raise InputError(
            f"{what}: takes one process, but {count} were started; several together are for "
            "'train sft', 'train preference' and 'train rl'"
        )


def _launched() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


class Ranks:
    """One process among `count`; `index` is its number and `device` where it computes."""

    def __init__(self) -> None:
        on_cpu = not torch.cuda.is_available()
        self._state = PartialState(cpu=on_cpu, timeout=PATIENCE) if _launched() > 1 else None

    @property
    def count(self) -> int:
        """How many processes there are."""
        return self._state.num_processes if self._state else 1

    @property
    def index(self) -> int:
        """This process's number, from 0. The first writes the files."""
        return self._state.process_index if self._state else 0

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.index == 0

    def share(self, rows: Sequence[Item]) -> Sequence[Item]:
        """This process's part of the rows: neighbours, because they share prompts."""
        first = len(rows) * self.index // self.count
        return rows[first : len(rows) * (self.index + 1) // self.count]

    def shared_out(
        self, rows: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Made]]
    ) -> list[Made]:
        """What `work` makes of all rows, in order; each process works on its share.

        `work` gets no rows where there are fewer rows than processes.
        """
        if self.count == 1:
            return list(work(rows))
        parts = self._from_all(lambda: list(work(self.share(rows))))
        return [item for part in parts for item in part]

    def from_first(self, work: Callable[[], Made]) -> Made:
        """What `work` makes in the first process. The others wait for it and get a copy."""
        if self.count == 1:
            return work()
        parts = self._from_all(lambda: [work()] if self.leads else [])
        return parts[0][0]

    def together(self, work: Callable[[], Made]) -> Made:
        """What `work` makes here, once it has succeeded in every process."""
        if self.count == 1:
            return work()
        made: list[Made] = []
        self._from_all(lambda: made.append(work()))
        return made[0]

    def _from_all(self, work: Callable[[], Made]) -> list[Made]:
        """What `work` makes in each process, in their order."""
        own: tuple[Made | None, str]
        try:
            own = (work(), "")
        except InputError as error:
            own = (None, str(error))
        return self._gathered(own)

    @staticmethod
    def _gathered(own: tuple[Any, str]) -> list[Any]:
        """What every process made. Raises the mistake of the first that made one instead."""
        parts: list[tuple[Any, str]] = gather_object([own])
        for _, mistake in parts:
            if mistake:
                raise KnownToAll(mistake)
        return [made for made, _ in parts]

    def tell(self, mistake: InputError) -> None:
        """Raises a mistake of this process in the others, where they wait next."""
        if self.count > 1 and not isinstance(mistake, KnownToAll):
            with suppress(RuntimeError, KnownToAll):  # they are gone, or hear their own
                self._gathered((None, str(mistake)))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its sum over the processes (none counts as 0)."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            # Where processes meet, which may be a card though the weights aren't on it.
            assert self._state is not None
            own = parameter.grad.to(self._state.device)
            parameter.grad.copy_(reduce(own, "sum"))

    def sum_figures(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Sums of named numbers over the processes."""
        if self.count == 1:
            return dict(figures)
        total: dict[str, float] = {}
        for part in self._from_all(lambda: dict(figures)):
            for name, value in part.items():
                total[name] = total.get(name, 0.0) + value
        return total

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self._state:
            self._state.wait_for_everyone()
