"""What the server knows: its candidates, the engines that write their answers, the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from truing.candidates import Candidate
from truing.people.pilot import Kept, keep
from truing.people.store import Store
from truing.serve.engine import Engine
from truing.serve.forms import ChatForm
from truing.serve.replies import Refusal
from truing.types import InputError

_LOG = logging.getLogger(__name__)


@dataclass
class Service:
    """A candidate that is served, and the store of what its users agree to share (None: nothing)."""

    candidate: Candidate
    engine: Engine
    store: Store | None = None
    scoring: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Scoring passes are large: one at a time, beside the answers that are written."""
    choosing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """So are rewards asked, which don't wait for a long text to be scored."""
    started: int = field(default_factory=lambda: int(time.time()))

    @property
    def name(self) -> str:
        """What clients call the model."""
        return self.candidate.name

    def beside(self, candidate: Candidate, engine: Engine) -> Service:
        """Another candidate on this server: one store, and large passes take turns."""
        return replace(self, candidate=candidate, engine=engine)

    async def keep(self, form: ChatForm, answers: Sequence[str]) -> Kept | None:
        """Keeps a conversation and its answers where that is agreed to and possible.

        An answer is never lost because it couldn't be kept.
        """
        return await keep_agreed(self.store, form, answers, [self.name] * len(answers))


async def keep_agreed(
    store: Store | None, form: ChatForm, answers: Sequence[str], candidates: Sequence[str]
) -> Kept | None:
    """Keeps a conversation and its candidates' answers where that is agreed to and possible."""
    if store is None or not form.agreed:
        return None
    try:
        return await run_in_threadpool(
            keep, store, form.conversation, answers, candidates, form.user or ""
        )
    except InputError as error:
        _LOG.warning("a prompt can't be kept: %s", error)
    except SQLAlchemyError as error:  # which may quote what was asked
        _LOG.error("a prompt can't be kept: %s", type(error).__name__)
    return None


def services(request: Request) -> tuple[Service, ...]:
    """All that the server has: one candidate, or the two of an arena."""
    every: tuple[Service, ...] = request.app.state.services
    return every


def service(request: Request) -> Service:
    """The only one, or the first."""
    first: Service = request.app.state.service
    return first


def named_service(request: Request, name: str) -> Service:
    """The service of the model that is asked for. Raises Refusal where there is none."""
    every = services(request)
    for each in every:
        if each.name == name:
            return each
    names = " and ".join(repr(each.name) for each in every)
    raise Refusal(
        404,
        f"model: no {name!r} here; this server has {names}",
        param="model",
        code="model_not_found",
    )
