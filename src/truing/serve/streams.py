"""Waiting for answers, and telling of them as they are written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from truing.people.pilot import Kept
from truing.serve.answering import Answers
from truing.serve.arena import BothAnswers, Sides
from truing.serve.forms import ChatForm
from truing.serve.replies import DONE, Head, Refusal, event, piece, problem, usage
from truing.serve.service import Service

LISTEN_SECONDS = 0.5
"""How often it is looked whether somebody still waits for an answer that isn't streamed."""


_Result = TypeVar("_Result")


class Streaming(StreamingResponse):
    """Server-sent events about answers, which are given up when nobody listens any more."""

    def __init__(self, answers: Answers | BothAnswers, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._answers:
            await super().__call__(scope, receive, send)


async def finished(request: Request, answers: Answers) -> None:
    """Waits until all answers have ended. Raises Refusal where one fails or nobody waits any more."""

    async def listen() -> None:
        async for _ in answers.news():
            pass

    await while_connected(request, listen())


async def while_connected(
    request: Request,
    work: Coroutine[Any, Any, _Result],
    give_up: Callable[[], None] = lambda: None,
) -> _Result:
    """The result of work that ends when nobody waits any more: then `give_up` tells it, and Refusal is
    raised."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=LISTEN_SECONDS))[0]:
            if await request.is_disconnected():
                raise Refusal(499, "The client has gone.")
        return task.result()
    finally:
        if not task.done():
            give_up()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def told(
    here: Service | Sides,
    form: ChatForm,
    answers: Answers | BothAnswers,
    prompt: int,
    head: Head,
    after: Callable[[Kept | None], Any] | None = None,
) -> AsyncIterator[str]:
    """The events of a streamed chat completion; at its end what `after` says of what was kept."""
    wants_usage = bool(form.stream_options and form.stream_options.include_usage)
    for index in range(answers.count):
        yield event(head.chunk([piece(index, {"role": "assistant", "content": ""})]))
    try:
        async for index, added, finish in answers.news():
            if added:
                yield event(head.chunk([piece(index, {"content": added})]))
            if finish:
                yield event(head.chunk([piece(index, {}, finish)]))
    except Refusal as refusal:
        yield event(problem(refusal.message, refusal.status, code=refusal.code))
        return
    if wants_usage:
        yield event(head.chunk([], usage(prompt, answers.written, answers.known)))
    kept = await here.keep(form, answers.texts)
    if after is not None:
        yield event(after(kept))
    yield DONE
