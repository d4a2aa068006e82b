"""Two candidates behind one page, whose visitors choose between answers without knowing whose they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from truing.people.pilot import Kept
from truing.serve.answering import Answers, ask
from truing.serve.forms import ChatForm
from truing.serve.replies import Refusal
from truing.serve.service import Service, keep_agreed
from truing.types import stable_hash

HIDDEN = "hidden"
"""The model's name in what the page is answered."""
_OF_THE_SERVER = frozenset({"queue_full", "shutting_down"})
"""Codes of refusals that say nothing of a candidate."""
_News = tuple[int, str, str | None]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arena:
    """Two candidates. The seed draws who answers as A."""

    first: Service
    second: Service
    seed: int = 0

    @property
    def services(self) -> tuple[Service, ...]:
        """Both, in the order in which they were named."""
        return self.first, self.second

    def sides(self, form: ChatForm) -> Sides:
        """Who answers a user's question as A and who as B."""
        turns = [part for each in form.conversation for part in (each["role"], each["content"])]
        draw = stable_hash("sides", str(self.seed), form.user or "", *turns)
        swapped = int(draw, 16) % 2
        return Sides(self.second, self.first) if swapped else Sides(self.first, self.second)


@dataclass(frozen=True)
class Sides:
    """The candidates of one question."""

    a: Service
    b: Service

    async def ask(self, form: ChatForm) -> BothAnswers:
        """Begins both answers. Raises Refusal, without a candidate's name, where one can't be begun."""
        begun = await asyncio.gather(
            *(_begin(side, form) for side in (self.a, self.b)), return_exceptions=True
        )
        answers = [each for each in begun if isinstance(each, Answers)]
        failed = next((each for each in begun if isinstance(each, BaseException)), None)
        if failed is not None:
            for each in answers:
                each.give_up()
            raise failed
        return BothAnswers(self, answers)

    async def keep(self, form: ChatForm, answers: Sequence[str]) -> Kept | None:
        """Keeps both answers where that is agreed to; in the order shown, so that the numbers of what
        is kept don't give away whose they are."""
        return await keep_agreed(self.a.store, form, answers, [self.a.name, self.b.name])


async def _begin(side: Service, form: ChatForm) -> Answers:
    try:
        return (await ask(side, form))[0]
    except Refusal as refusal:
        raise _unnamed(refusal, side) from None


def _unnamed(refusal: Refusal, side: Service) -> Refusal:
    """What a visitor may know of it: the reason may tell the candidates apart."""
    if refusal.code in _OF_THE_SERVER:
        return refusal
    _LOG.warning("%s can't answer: %s", side.name, refusal.code or refusal.status)
    if refusal.code == "context_length_exceeded":
        sentence = "This is too long for one of the two models. Begin a new conversation."
        return Refusal(400, sentence, code=refusal.code)
    sentence = "One of the two answers could not be finished, so there is nothing to choose from."
    return Refusal(500, sentence, code="generation_failed")


class BothAnswers:
    """The two answers to one question, as they are written; as `Answers` of two."""

    count = 2

    def __init__(self, sides: Sides, answers: Sequence[Answers]) -> None:
        self._sides = (sides.a, sides.b)
        self._answers = answers

    def __enter__(self) -> BothAnswers:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._answers:
            each.give_up()

    async def news(self) -> AsyncIterator[_News]:
        """As `Answers.news`, of whichever side has some. Raises Refusal where one ended in an error."""
        streams = [each.news() for each in self._answers]
        awaited = {asyncio.ensure_future(_next(each)): n for n, each in enumerate(streams)}
        try:
            while awaited:
                done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    side = awaited.pop(task)
                    if (new := self._result(task, side)) is None:
                        continue
                    yield side, new[1], new[2]
                    awaited[asyncio.ensure_future(_next(streams[side]))] = side
        finally:
            for task in awaited:
                task.cancel()
            await asyncio.gather(*awaited, return_exceptions=True)

    def _result(self, task: asyncio.Future[_News | None], side: int) -> _News | None:
        try:
            return task.result()
        except Refusal as refusal:
            raise _unnamed(refusal, self._sides[side]) from None

    @property
    def texts(self) -> list[str]:
        """Both texts, once they have ended."""
        return [text for each in self._answers for text in each.texts]

    @property
    def written(self) -> int:
        """Tokens drawn so far."""
        return sum(each.written for each in self._answers)

    @property
    def known(self) -> int:
        """Tokens of the prompts that didn't have to be computed."""
        return min(each.known for each in self._answers)


async def _next(stream: AsyncIterator[_News]) -> _News | None:
    return await anext(stream, None)
