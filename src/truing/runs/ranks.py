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
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.distributed import distributed_c10d

from truing.runs.buckets import sum_in_buckets
from truing.runs.heartbeat import BOUND, Heartbeat, ProcessLost, all_there
from truing.runs.lending import LENDING
from truing.runs.row_shard import RowShard, is_shared_out, own_part
from truing.terminal import say
from truing.types import InputError

Item = TypeVar("Item")
Made = TypeVar("Made")

PATIENCE = timedelta(days=7)
"""How long a process waits for the first, which may have much to do. One that dies is noticed at once,
because its connections close, and one that is silent by its heartbeat."""


_watched: list[Heartbeat] = []
"""This process's heartbeat, once it has one."""


def _watch(state: PartialState) -> None:
    """Lets the others know that this process is there, and ends it where one of them isn't."""
    if _watched:
        return
    store = distributed_c10d.PrefixStore("truing", distributed_c10d._get_default_store())

    def lost(index: int) -> None:
        silent = f"process {index} hasn't been heard of for {BOUND:.0f} seconds"
        if may_speak():
            say(f"Error: {ProcessLost(silent)}", error=True)
        # The one that waits for it may not come back from there.
        os._exit(1)

    _watched.append(Heartbeat(store, state.process_index, state.num_processes, lost))
    _watched[0].start()


def may_speak() -> bool:
    """Whether this process is the one that says why a training has ended, where one of them is lost: the
    first to ask, or the second process where the first was the one."""
    if not _watched:
        return True
    try:
        return _watched[0].store.add("said", 1) == 1
    except RuntimeError:
        return _watched[0].index == 1


class KnownToAll(InputError):
    """A mistake that has been raised in every process; all end with the code that it ends one with."""

    def __init__(self, message: str, exit_code: int = InputError.exit_code) -> None:
        super().__init__(message)
        self.exit_code = exit_code


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
        if self._state is not None:
            _watch(self._state)

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

    def check_alike(self, facts: Mapping[str, str], words: Mapping[str, str]) -> None:
        """Raises InputError in every process where one brings other facts than the first. `words` say what
        each is."""
        if self.count == 1:
            return
        every = self._from_all(lambda: dict(facts))
        for index, others in enumerate(every):
            for name, value in every[0].items():
                if others.get(name) != value:
                    raise KnownToAll(
                        f"process {index}: has another {words.get(name, name)} ({others.get(name)}) than "
                        f"process 0 ({value}); start all of them with the same program, spec, texts and "
                        "weights"
                    )

    def in_turn(self, work: Callable[[], Made]) -> Made:
        """What `work` makes here, one process after the other: what it takes while it works is taken once
        at a time. Without anything in it that all do together."""
        made: list[Made] = []
        for index in range(self.count):
            self.together(lambda here=index == self.index: made.append(work()) if here else None)  # type: ignore[misc]
        return made[0]

    def lend_weights(self) -> None:
        """Lets processes hold weights in parts from here on. All call it alike."""
        if self.count > 1:
            LENDING.open(PATIENCE)

    def _from_all(self, work: Callable[[], Made]) -> list[Made]:
        """What `work` makes in each process, in their order."""
        own: tuple[Made | None, str, int]
        try:
            own = (work(), "", 0)
        except InputError as error:
            own = (None, str(error), error.exit_code)
        return self._gathered(own)

    @staticmethod
    def _gathered(own: tuple[Any, str, int]) -> list[Any]:
        """What every process made. Raises the mistake of the first that made one instead."""
        with all_there():
            LENDING.until_all_are_done()
            parts: list[tuple[Any, str, int]] = gather_object([own])
        for _, mistake, exit_code in parts:
            if mistake:
                raise KnownToAll(mistake, exit_code)
        return [made for made, *_ in parts]

    def tell(self, mistake: InputError) -> None:
        """Raises a mistake of this process in the others, where they wait next."""
        if self.count > 1 and not isinstance(mistake, KnownToAll):
            with suppress(ProcessLost, KnownToAll):  # they are gone, or hear their own
                self._gathered((None, str(mistake), mistake.exit_code))

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its sum over the processes (none counts as 0). Gradients of rows of
        parameters that are shared out are such sums already."""
        if self.count == 1:
            return
        held = [parameter for parameter in parameters if not is_shared_out(parameter)]
        for parameter in held:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        assert self._state is not None
        gradients = [parameter.grad for parameter in held if parameter.grad is not None]
        with all_there():
            LENDING.until_all_are_done()
            sum_in_buckets(gradients, self._state.device)

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return here if self.count == 1 else any(self._from_all(lambda: here))

    def gradient_norm(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """() the norm of all gradients, with those of rows that other processes hold."""
        rows = [p.grad for p in parameters if p.grad is not None and is_shared_out(p)]
        whole = [p.grad for p in parameters if p.grad is not None and not is_shared_out(p)]
        square = torch.nn.utils.get_total_norm(rows).square().double()
        if self._state:
            square = square.to(self._state.device)
            with all_there():
                LENDING.until_all_are_done()
                torch.distributed.all_reduce(square)
        return (square.cpu() + torch.nn.utils.get_total_norm(whole).square().cpu()).sqrt()

    def whole(self, parameter: Tensor, values: Tensor) -> Tensor:
        """All numbers of a kind that there is one of for each of a parameter's: the parameter's own, an
        optimizer's. Of a parameter that is shared out the first process gets those of all rows, on the
        processor, the others nothing of use; all call this alike."""
        if not isinstance(parameter, RowShard) or values.shape != parameter.shape:
            return values
        assert self._state is not None
        each = -(-parameter.whole[0] // self.count)
        padded = values.new_zeros((each, *parameter.whole[1:]))
        padded[: len(values)].copy_(values.detach())
        parts = [torch.empty_like(padded) for _ in range(self.count)] if self.leads else None
        with all_there():
            LENDING.until_all_are_done()
            torch.distributed.gather(padded, parts)
        return torch.cat(parts)[: parameter.whole[0]].cpu() if parts else values

    def own_part(self, parameter: Tensor, values: Tensor) -> Tensor:
        """Of all numbers of such a kind those of this process's rows; all where it isn't shared out."""
        return own_part(parameter, values, self.index, self.count)

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
            with all_there():
                LENDING.until_all_are_done()
                self._state.wait_for_everyone()
