"""The thread that writes answers: requests join the batch when they come and leave when they end."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from truing.models.decoding import GROUP, BatchedGenerator, Generation, Request
from truing.models.engine.memory import available_bytes, key_value_bytes
from truing.models.engine.row_cache import KEPT_BYTES
from truing.models.language_model import LanguageModel

QUEUE = 64
"""Answers that may wait for a place."""
PIECES = 4
"""Pieces of prompts that are read between two steps of those who write already."""
SHARE = 0.8
"""Of the memory that is free when the engine starts, what texts under way may take."""
_LOG = logging.getLogger(__name__)


class Busy(Exception):
    """Too many answers are waiting."""


class Closing(Exception):
    """The server is being shut down: nothing new is taken."""


class TooLarge(Exception):
    """A text whose keys and values would take more memory than there is for all of them."""

    def __init__(self, tokens: int, needed: int, room: int) -> None:
        super().__init__(f"{tokens} tokens")
        self.tokens, self.needed, self.room = tokens, needed, room


Hear = Callable[[str | None], None]
"""Called on the engine's thread after every token; with None, or with why the answer ended: "stop",
"length", or "error" (the model's scores were no numbers, or the server ended)."""


class RequestHandle:
    """One text on its way. Those of one `answer` (draws that it is chosen from) wait as one."""

    def __init__(self, generation: Generation, hear: Hear, answer: object, size: int) -> None:
        self.generation = generation
        self.cancelled = False
        self.tell = hear
        self.answer = answer
        self.size = size

    def cancel(self) -> None:
        """Nobody waits for it any more; it leaves the batch before the next step."""
        self.cancelled = True


class Engine:
    """Answers requests with one model, up to `places` of them side by side.

    `shared_prefix` as for BatchedGenerator. No more run at once than `most_bytes` of keys and values
    allow: without it, a share of the memory that is free now, which so many `engines` divide.
    """

    def __init__(
        self,
        model: LanguageModel,
        shared_prefix: Sequence[int] = (),
        places: int = GROUP,
        queue: int = QUEUE,
        most_bytes: int | None = None,
        engines: int = 1,
    ) -> None:
        self.places = places
        self._queue = queue
        self._generator = BatchedGenerator(model, shared_prefix)
        self._token_bytes = key_value_bytes(model.model, model.dtype)
        free = available_bytes(model.device) // engines
        free = max(free - KEPT_BYTES, free // 2)  # for the prefixes that are kept
        self._most_bytes = int(SHARE * free) if most_bytes is None else most_bytes
        self._waiting: deque[RequestHandle] = deque()
        self._running: list[RequestHandle] = []
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="truing engine", daemon=True)
        self._thread.start()

    def submit(
        self, requests: Sequence[Request], hear: Sequence[Hear], draws: int = 1
    ) -> list[RequestHandle]:
        """Takes requests, all or none; so many neighbours are draws of one answer.

        Raises InputError for one that exceeds the context, TooLarge, Busy where too many answers
        wait, Closing.
        """
        handles = []
        for number, (request, listener) in enumerate(zip(requests, hear, strict=True)):
            if number % draws == 0:
                answer = object()
            generation, size = self._generator.begin(request), self._size(request)
            handles.append(RequestHandle(generation, listener, answer, size))
        with self._change:
            if self._closing:
                raise Closing
            self._waiting = deque(handle for handle in self._waiting if not handle.cancelled)
            free = self.places - len(self._running)
            if self._load()[1] + len(handles) // draws > self._queue + free:
                raise Busy
            self._waiting += handles
            self._change.notify()
        return handles

    def _size(self, request: Request) -> int:
        tokens = len(request.prompt) + request.max_new_tokens
        size = tokens * self._token_bytes
        if size > self._most_bytes:
            raise TooLarge(tokens, size, self._most_bytes)
        return size

    @property
    def load(self) -> tuple[int, int]:
        """Answers being written, and answers that wait."""
        with self._change:
            return self._load()

    def _load(self) -> tuple[int, int]:
        writing = {handle.answer for handle in self._running}
        return len(writing), len({handle.answer for handle in self._waiting} - writing)

    @property
    def committed_bytes(self) -> int:
        """What the texts under way may take at their greatest length."""
        with self._change:
            return sum(handle.size for handle in self._running)

    @property
    def closing(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._closing

    def stop(self) -> None:
        """Takes nothing new and ends what is unfinished as an error, without waiting for that."""
        with self._change:
            self._closing = True
            self._change.notify()

    def close(self) -> None:
        """The same, and waits for the end of the thread."""
        self.stop()
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
        """Fills free places in order of arrival, as far as the memory goes."""
        self._running = self._live()
        free = self._most_bytes - sum(handle.size for handle in self._running)
        while self._waiting and len(self._running) < self.places:
            handle = self._waiting[0]
            if not handle.cancelled:
                if handle.size > free:
                    return
                free -= handle.size
                self._running.append(handle)
            self._waiting.popleft()

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
