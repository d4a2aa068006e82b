"""Between the web's event loop and the engine's thread: answers asked for, and their news."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from secrets import randbits

from starlette.concurrency import run_in_threadpool

from truing.candidates import Candidate
from truing.models.decoding import Request
from truing.serve.engine import Busy, Closing, Engine, RequestHandle, Update
from truing.serve.forms import DEFAULT_TOKENS, ChatForm
from truing.serve.replies import Refusal
from truing.types import InputError


class Answers:
    """The answers to one request, as they are written. Leaving the `with` block gives them up."""

    def __init__(self, engine: Engine, requests: list[Request]) -> None:
        loop = asyncio.get_running_loop()
        self._news: asyncio.Queue[tuple[int, Update]] = asyncio.Queue()
        self.latest = [Update("", 0, None) for _ in requests]

        def listener(index: int) -> Callable[[Update], None]:
            def hear(update: Update) -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended before the engine
                    loop.call_soon_threadsafe(self._news.put_nowait, (index, update))

            return hear

        listeners = [listener(index) for index in range(len(requests))]
        self._handles: list[RequestHandle] = engine.submit(requests, listeners)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.cancel()

    async def news(self) -> AsyncIterator[tuple[int, str, Update]]:
        """Until all have ended: which answer, the text added to it, and how far it is.

        Raises Refusal where one ended in an error.
        """
        while any(update.finish is None for update in self.latest):
            index, update = await self._news.get()
            if update.finish == "error":
                raise Refusal(500, "The answer could not be finished.", code="generation_failed")
            added = update.text[len(self.latest[index].text) :]
            self.latest[index] = update
            yield index, added, update

    @property
    def texts(self) -> list[str]:
        """The answers so far."""
        return [update.text for update in self.latest]

    @property
    def tokens(self) -> list[tuple[int, ...]]:
        """The tokens of the answers so far, end tokens included."""
        return [tuple(handle.generation.tokens) for handle in self._handles]

    @property
    def written(self) -> int:
        """Tokens drawn so far."""
        return sum(update.tokens for update in self.latest)

    @property
    def known(self) -> int:
        """Tokens of the prompt that didn't have to be computed."""
        return min(handle.generation.known for handle in self._handles)


def _requests(candidate: Candidate, form: ChatForm) -> list[Request]:
    prompt = candidate.renderer.conversation(candidate.prompt, form.conversation)
    room = candidate.model.context_length - len(prompt)
    most = form.most_tokens or max(1, min(DEFAULT_TOKENS, room))
    if most > room:
        raise Refusal(
            400,
            f"messages: {len(prompt)} tokens and {most} of answer, but the model's context "
            f"holds {candidate.model.context_length}",
            param="messages",
            code="context_length_exceeded",
        )
    stops = (candidate.renderer.stop,) if candidate.renderer.stop else ()
    # Without a seed, one is drawn for all answers: they differ by their numbers.
    seeded = form if form.seed is not None else form.model_copy(update={"seed": randbits(62)})
    each = [seeded.request(prompt, most, sample, stops) for sample in range(form.n or 1)]
    return [replace(request, hide_thoughts=True) for request in each]


def begin(engine: Engine, requests: list[Request]) -> Answers:
    """Hands requests to the engine. Raises Refusal where it has too much to do."""
    try:
        return Answers(engine, requests)
    except Busy:
        raise Refusal(
            429, "Too many answers are waiting. Try again in a moment.", code="queue_full"
        ) from None
    except Closing:
        raise Refusal(503, "The server is shutting down.", code="shutting_down") from None


async def ask(engine: Engine, candidate: Candidate, form: ChatForm) -> tuple[Answers, int]:
    """Begins the answers to a form; they and the number of the prompt's tokens.

    Raises Refusal for what is too long, and where the server has too much to do.
    """
    try:
        requests = await run_in_threadpool(_requests, candidate, form)
    except InputError as error:  # a template that refuses the roles, say
        raise Refusal(400, str(error), param="messages") from None
    return begin(engine, requests), len(requests[0].prompt)
