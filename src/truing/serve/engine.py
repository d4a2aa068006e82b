"""The thread that writes answers: requests join the batch when they come and leave when they end."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from truing.models.decoding import GROUP, BatchedGenerator, Generation, Request
from truing.models.language_model import LanguageModel

QUEUE = 64
"""Answers that may wait for a place."""
PIECES = 4
"""Pieces of prompts that are read between two steps of those who write already."""
_LOG = logging.getLogger(__name__)


class Busy(Exception):
    """Too many answers are waiting."""


class Closing(Exception):
    """The server is being shut down: nothing new is taken."""


@dataclass(frozen=True)
class Update:
    """News of an answer: its text so far, and why it ended, where it did.

    `finish` is "stop", "length", or "error" (the model's scores were no numbers, or the server ended).
    """

    text: str
    tokens: int
    finish: str | None


class RequestHandle:
    """One answer on its way. `hear` is called on the engine's thread with every update."""

    def __init__(self, generation: Generation, hear: Callable[[Update], None]) -> None:
        self.generation = generation
        self.cancelled = False
        self._hear = hear

    def cancel(self) -> None:
        """Nobody waits for it any more; it leaves the batch before the next step."""
        self.cancelled = True

    def tell(self, finish: str | None) -> None:
        """Passes on how far it is."""
        self._hear(Update(self.generation.text, len(self.generation.tokens), finish))


class Engine:
    """Answers requests with one model, up to `places` of them side by side.

    `shared_prefix` as for BatchedGenerator.
    """

    def __init__(
        self,
        model: LanguageModel,
        shared_prefix: Sequence[int] = (),
        places: int = GROUP,
        queue: int = QUEUE,
    ) -> None:
        self.places = places
        self._queue = queue
        self._generator = BatchedGenerator(model, shared_prefix)
        self._waiting: deque[RequestHandle] = deque()
        self._running: list[RequestHandle] = []
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="truing engine", daemon=True)
        self._thread.start()

    def submit(
        self, requests: list[Request], hear: list[Callable[[Update], None]]
    ) -> list[RequestHandle]:
        """Takes requests, all or none.

        Raises InputError for one that exceeds the context, Busy where too many wait, Closing.
        """
        handles = [
            RequestHandle(self._generator.begin(request), listener)
            for request, listener in zip(requests, hear, strict=True)
        ]
        with self._change:
            if self._closing:
                raise Closing
            self._waiting = deque(handle for handle in self._waiting if not handle.cancelled)
            free = self.places - len(self._running)
            if len(self._waiting) + len(handles) > self._queue + free:
                raise Busy
            self._waiting += handles
            self._change.notify()
        return handles

    @property
    def load(self) -> tuple[int, int]:
        """Answers being written, and answers that wait."""
        with self._change:
            return len(self._running), len(self._waiting)

    def close(self) -> None:
        """Ends what is unfinished as an error, and the thread."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                self._admit()
                while not self._running and not self._closing:
                    self._change.wait()
                    self._admit()
                if self._closing:
                    left = [*self._running, *self._waiting]
                    break
            self._advance()
        for handle in left:
            handle.tell("error")

    def _admit(self) -> None:
        """Fills free places in order of arrival."""
        self._running = [
            t for t in self._running if not t.cancelled and t.generation.finish is None
        ]
        while self._waiting and len(self._running) < self.places:
            handle = self._waiting.popleft()
            if not handle.cancelled:
                self._running.append(handle)

    def _advance(self) -> None:
        """Some pieces of prompts, then one token for everybody who has read theirs."""
        for _ in range(PIECES):
            reading = next((t for t in self._live() if not t.generation.has_read), None)
            if reading is None:
                break
            self._try([reading], lambda group: self._generator.read(group[0].generation))
            if reading.generation.has_read:
                self._pass_on([reading])
        ready = [t for t in self._live() if t.generation.has_read]
        for start in range(0, len(ready), GROUP):
            group = ready[start : start + GROUP]
            self._try(group, lambda group: self._generator.step([t.generation for t in group]))
            self._pass_on(group)

    def _live(self) -> list[RequestHandle]:
        return [t for t in self._running if not t.cancelled and t.generation.finish is None]

    def _pass_on(self, handles: list[RequestHandle]) -> None:
        for handle in handles:
            if not handle.cancelled:
                handle.tell(handle.generation.finish)

    def _try(self, group: list[RequestHandle], work: Callable[[list[RequestHandle]], None]) -> None:
        """Does the work; where it fails, these answers end and the others go on."""
        try:
            work(group)
        except Exception:
            # Not what was asked or written: it may be personal.
            _LOG.exception("%d answer(s) failed", len(group))
            for handle in group:
                if handle.generation.finish is None:
                    handle.generation.end("error")
