"""Workers of a pool without processes: everything but the socket, in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from truing.models import precision
from truing.models.pool.holder import ModelHolder
from truing.models.pool.messages import LinkLost, Message


@contextmanager
def one_thread() -> Iterator[None]:
    """With one thread, and what workers in this process change of it comes back."""
    before, granted = torch.get_num_threads(), precision._granted.bfloat16
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        precision._granted.bfloat16 = granted
        precision.has_fast_bfloat16.cache_clear()


@dataclass
class WorkerHere:
    """Answers as a worker does, message by message; `dies` says of which requests it does instead."""

    name: str
    dies: Callable[[Mapping[str, Any]], bool] = lambda request: False
    starts: bool = True
    holder: ModelHolder = field(default_factory=ModelHolder)
    links: int = 0

    def link(self) -> tuple[WorkerHere, Mapping[str, Any]]:
        if not self.starts:
            raise LinkLost("no such machine")
        self.links += 1
        return self, self.holder.about()

    def ask(self, request: Message) -> Message:
        if self.dies(request.content):
            raise LinkLost("killed by the test")
        known = Message.from_bytes(request.to_bytes())
        return Message.from_bytes(self.holder.answer(known).to_bytes())

    def ended(self) -> str:
        return ""

    def close(self) -> None:
        pass


def once(matching: Callable[[Mapping[str, Any]], bool]) -> Callable[[Mapping[str, Any]], bool]:
    """True for the first request that matches."""
    done: list[bool] = []

    def dies(request: Mapping[str, Any]) -> bool:
        if not done and matching(request):
            done.append(True)
            return True
        return False

    return dies


def runs(request: Mapping[str, Any]) -> bool:
    """Whether a request is for a pack."""
    return request["do"] == "run"
