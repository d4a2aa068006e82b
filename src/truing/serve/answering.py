"""Between the web's event loop and the engine's thread: answers asked for, and how far they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from secrets import randbits

from starlette.concurrency import run_in_threadpool

from truing.candidates import Candidate
from truing.models.decoding import Generation, Request
from truing.models.engine.memory import gigabytes
from truing.serve.choosing import choose, draws, draws_of
from truing.serve.engine import Busy, Closing, Engine, Hear, TooLarge
from truing.serve.forms import DEFAULT_TOKENS, ChatForm
from truing.serve.replies import Refusal
from truing.serve.service import Service
from truing.types import InputError

_LOG = logging.getLogger(__name__)
Choose = Callable[[Sequence[Generation]], Awaitable[int]]
"""Which of an answer's draws is given."""


async def _the_only(drawn: Sequence[Generation]) -> int:
    return 0


class Answers:
    """The answers to one request, as they are written. Leaving the `with` block gives them up.

    Nothing is queued: whoever reads takes what has been written since. So many neighbours of
    `requests` are draws that one answer is chosen from; such an answer comes whole.
    """

    def __init__(
        self,
        engine: Engine,
        requests: Sequence[Request],
        draws: int = 1,
        choose: Choose = _the_only,
    ) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._finish: list[str | None] = [None] * len(requests)
        self._draws, self._choose = draws, choose
        self._given: list[Generation | None] = [None] * (len(requests) // draws)
        listeners = [self._listener(place) for place in range(len(requests))]
        self._handles = engine.submit(requests, listeners, draws)

    def _listener(self, place: int) -> Hear:
        def hear(finish: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the engine
                self._loop.call_soon_threadsafe(self._hear, place, finish)

        return hear

    def _hear(self, place: int, finish: str | None) -> None:
        self._finish[place] = finish
        self._changed.set()

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Nobody waits for them any more."""
        for handle in self._handles:
            handle.cancel()

    async def news(self) -> AsyncIterator[tuple[int, str, str | None]]:
        """Until all have ended: which answer, the text added to it, and why it ended where it did.

        Raises Refusal where one ended in an error.
        """
        sent = [0] * len(self._given)
        writing = list(range(len(self._given)))
        while writing:
            await self._changed.wait()
            self._changed.clear()
            self._check()
            for index in list(writing):
                place = await self._place(index)
                if place is None:
                    continue
                finish = self._finish[place]  # before the text, which is whole then
                added = self._handles[place].generation.text_from(sent[index])
                sent[index] += len(added)
                if finish:
                    writing.remove(index)
                if added or finish:
                    yield index, added, finish

    def _check(self) -> None:
        if "error" not in self._finish:
            return
        if self._engine.closing:
            raise shutting_down()
        raise Refusal(500, "The answer could not be finished.", code="generation_failed")

    async def _place(self, index: int) -> int | None:
        """The place of the text that is given as an answer, None where it isn't known yet."""
        first = index * self._draws
        places = range(first, first + self._draws)
        if self._draws > 1 and not all(self._finish[place] for place in places):
            return None
        drawn = [self._handles[place].generation for place in places]
        chosen = first + await self._choose(drawn)
        self._given[index] = self._handles[chosen].generation
        return chosen

    @property
    def count(self) -> int:
        """How many answers there are to be."""
        return len(self._given)

    @property
    def given(self) -> list[Generation]:
        """The answers, once all have ended."""
        return [each for each in self._given if each is not None]

    @property
    def texts(self) -> list[str]:
        """Their texts."""
        return [each.text for each in self.given]

    @property
    def written(self) -> int:
        """Tokens drawn so far, those of draws that weren't chosen as well."""
        return sum(len(handle.generation.tokens) for handle in self._handles)

    @property
    def known(self) -> int:
        """Tokens of the prompt that didn't have to be computed."""
        return min(handle.generation.known for handle in self._handles)


def shutting_down() -> Refusal:
    """What is said to those who come, or still wait, at the end."""
    return Refusal(503, "The server is shutting down.", code="shutting_down")


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
    # Without a seed, one is drawn for all answers: they differ by their numbers. Without a
    # temperature, a candidate that chooses draws at its own, which 0 stands for.
    more: dict[str, object] = {} if form.seed is not None else {"seed": randbits(62)}
    if candidate.best_of_n and form.temperature is None:
        more["temperature"] = 0.0
    seeded = form.model_copy(update=more)
    each = [seeded.request(prompt, most, sample, stops) for sample in range(form.n or 1)]
    return [
        draw for request in each for draw in draws(candidate, replace(request, hide_thoughts=True))
    ]


def begin(
    engine: Engine,
    requests: Sequence[Request],
    param: str,
    draws: int = 1,
    choose: Choose = _the_only,
) -> Answers:
    """Hands requests to the engine. Raises Refusal where it has too much to do, and for `param` where
    there is no memory for so long a text."""
    try:
        return Answers(engine, requests, draws, choose)
    except Busy:
        raise Refusal(
            429, "Too many answers are waiting. Try again in a moment.", code="queue_full"
        ) from None
    except Closing:
        raise shutting_down() from None
    except TooLarge as large:
        raise Refusal(
            400,
            f"{param}: {large.tokens} tokens with their answer would take {gigabytes(large.needed)} of "
            f"memory, and there are {gigabytes(large.room)}; ask for less",
            param=param,
            code="context_length_exceeded",
        ) from None


async def ask(here: Service, form: ChatForm) -> tuple[Answers, int]:
    """Begins the answers to a form; they and the number of the prompt's tokens.

    Raises Refusal for what is too long, and where the server has too much to do.
    """
    candidate = here.candidate
    try:
        requests = await run_in_threadpool(_requests, candidate, form)
    except InputError as error:  # a template that refuses the roles, say
        raise Refusal(400, str(error), param="messages") from None
    chooser = _chooser(here, form)
    answers = begin(here.engine, requests, "messages", draws_of(candidate), chooser)
    return answers, len(requests[0].prompt)


def _chooser(here: Service, form: ChatForm) -> Choose:
    best_of_n = here.candidate.best_of_n
    if best_of_n is None:
        return _the_only

    async def chosen(drawn: Sequence[Generation]) -> int:
        try:
            async with here.choosing:
                return await run_in_threadpool(choose, best_of_n, form.conversation, drawn)
        except InputError as error:
            # Not its sentence: a program's mistake may quote the answer.
            kind = type(error.__cause__ or error).__name__
            _LOG.error("an answer can't be chosen: the candidate's reward failed (%s)", kind)
            raise Refusal(500, "The answer could not be chosen.", code="reward_failed") from None

    return chosen
