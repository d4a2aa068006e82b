"""What processes hold in parts and put together for whoever needs it.

Putting parts together takes every process at the same time, though each has another number of passes to
run: answers differ in length, shares in size. So whoever needs something says what, and the others answer
as soon as they need something themselves or have nothing left to do. All that was named is then put
together, in one order. A process that is done with its share goes on lending its parts until all of them
are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

import torch

from truing.runs.heartbeat import all_there

_NOTHING = -1


class Lent(Protocol):
    """Something that every process holds a part of. All processes call these at the same time."""

    def gather(self, mine: bool) -> None:
        """Puts the parts together; it stays so in those who asked (`mine`)."""
        ...

    def reduce(self, mine: bool) -> None:
        """Sums what those who asked (`mine`) have gathered for it, a part in each process; theirs then
        falls apart again."""
        ...

    def release(self) -> None:
        """Lets go of all but this process's part. No other process needs to know."""
        ...


class Lending:
    """Everything that is lent in this process, numbered in the order in which it came: the same in all."""

    def __init__(self) -> None:
        self._group: torch.distributed.ProcessGroup | None = None
        self._lent: list[Lent] = []
        self._gathered: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether anything may be asked for."""
        return self._group is not None

    def open(self, patience: timedelta) -> None:
        """To be called by all processes, before any of them lends something."""
        if self._group is None:
            # Beside whatever moves numbers between cards: who needs what is settled without them.
            self._group = torch.distributed.new_group(backend="gloo", timeout=patience)

    def add(self, lent: Lent) -> int:
        """Lends something; returns its number."""
        self._lent.append(lent)
        return len(self._lent) - 1

    @contextmanager
    def scope(self) -> Iterator[None]:
        """What is added while it lasts is forgotten behind it: all processes are done with it by then.
        Where it ends early, others may still ask for it."""
        count = len(self._lent)
        yield
        self.release()
        del self._lent[count:]

    def gather(self, number: int) -> None:
        """Has it whole in this process, until the next call of any kind."""
        if self._gathered == number:
            return
        self.release()
        self._ask(2 * number + 1)
        self._gathered = number

    def reduce(self, number: int) -> None:
        """Hands over what this process has gathered for it."""
        self._gathered = None
        self._ask(2 * number)

    def release(self) -> None:
        """Lets go of what this process has gathered."""
        if self._gathered is not None and self._gathered < len(self._lent):
            self._lent[self._gathered].release()
        self._gathered = None

    def until_all_are_done(self) -> None:
        """Lends to the others until none needs anything."""
        if not self.is_open:
            return
        self.release()
        while self._ask(_NOTHING):
            pass

    def _ask(self, own: int) -> list[int]:
        """Says what this process needs; all that any process needs is done, in one order. Sums come before
        anything is put together, because whoever asks for one still has the whole."""
        with all_there():
            self._do(own, named := self._named(own))
        return named

    def _do(self, own: int, named: list[int]) -> None:
        for code in named:
            lent = self._lent[code // 2]
            (lent.gather if code % 2 else lent.reduce)(code == own)

    def _named(self, own: int) -> list[int]:
        return sorted(set(self._said(own)) - {_NOTHING}, key=lambda code: (code % 2, code))

    def _said(self, own: int) -> list[int]:
        assert self._group is not None
        said = [torch.zeros(1, dtype=torch.int64) for _ in range(self._group.size())]
        torch.distributed.all_gather(said, torch.tensor([own]), group=self._group)
        return [int(code) for code in said]


LENDING = Lending()
"""This process's."""
