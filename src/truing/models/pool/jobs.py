"""A pack on its way through a pool, and the queue that workers take packs from."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import torch
from torch import Tensor

from truing.models.pool.functions import Pack
from truing.models.pool.messages import KEPT, Message
from truing.models.user_cache import ModelUnavailable
from truing.types import InputError

DEATHS = 3
"""As many workers may die with one pack."""


@dataclass(frozen=True)
class PooledFiles:
    """A model as workers are told of it: a key, and all that it takes to load the very same. A worker that
    lacks them asks for the `tensors`."""

    key: str
    opening: Mapping[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(eq=False)
class Job:
    """A pack of a model, run with so many threads; without a pack the model is only loaded. `number` is
    its caller's."""

    model: PooledFiles
    pack: Pack | None
    threads: int
    number: int
    finished: queue.SimpleQueue[Job]
    deaths: list[str] = field(default_factory=list)
    answer: Message | None = None
    error: BaseException | None = None
    cancelled: bool = False

    def run(self) -> dict[str, Any]:
        """What a worker is asked."""
        assert self.pack is not None
        return {
            "do": "run",
            "model": self.model.key,
            "threads": self.threads,
            "function": self.pack.function,
            "request": self.pack.request(),
        }

    def end(self, answer: Message | None, error: BaseException | None = None) -> None:
        """Tells whoever waits what came of it."""
        self.answer, self.error = answer, error
        self.finished.put(self)

    def described(self) -> str:
        """Which one it is, for a message."""
        return self.pack.described() if self.pack else "loading the model"

    def too_deadly(self) -> ModelUnavailable | None:
        """What to say where too many workers died of it."""
        if len(self.deaths) < DEATHS:
            return None
        return ModelUnavailable(
            f"workers: {DEATHS} died of the same pack ({self.described()}): {'; '.join(self.deaths)}; "
            f"perhaps memory ran out: use fewer workers. {KEPT}"
        )


class JobQueue:
    """Jobs that wait, first come first served; one that comes back goes first."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._changed = Condition()
        self._closed: BaseException | None = None

    def put(self, job: Job, *, first: bool = False) -> None:
        """Adds a job; where the queue is closed it fails for the same reason."""
        with self._changed:
            if self._closed is None:
                self._jobs.appendleft(job) if first else self._jobs.append(job)
                self._changed.notify()
                return
        job.end(None, self._closed)

    def take(self) -> Job | None:
        """The next job, waited for; None once the queue is closed."""
        with self._changed:
            while True:
                while self._jobs:
                    if not (job := self._jobs.popleft()).cancelled:
                        return job
                if self._closed is not None:
                    return None
                self._changed.wait()

    def close(self, reason: BaseException) -> None:
        """Whatever waits, and whatever comes, fails for this reason."""
        with self._changed:
            self._closed = self._closed or reason
            waiting = list(self._jobs)
            self._jobs.clear()
            self._changed.notify_all()
        for job in waiting:
            job.end(None, self._closed)


def raised(answer: Message, worker: str) -> BaseException | None:
    """What a worker's answer fails with, as it would have failed here; None where it didn't."""
    kind, message = answer.content.get("failed"), str(answer.content.get("message", ""))
    if kind is None:
        return None
    if kind == "input":
        return InputError(message)
    if kind == "unavailable":
        return ModelUnavailable(message)
    if kind == "memory":
        return torch.OutOfMemoryError(f"{worker}: {message}")
    return RuntimeError(f"{worker}: {message}")
