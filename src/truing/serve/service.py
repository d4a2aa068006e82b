"""What the server knows: the candidate, the engine that writes its answers, the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from truing.candidates import Candidate
from truing.people.pilot import Kept, keep
from truing.people.store import Store
from truing.serve.engine import Engine
from truing.serve.forms import ChatForm
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

    async def keep(self, form: ChatForm, answers: Sequence[str]) -> Kept | None:
        """Keeps a conversation and its answers where that is agreed to and possible.

        An answer is never lost because it couldn't be kept.
        """
        if self.store is None or not form.agreed:
            return None
        try:
            return await run_in_threadpool(
                keep, self.store, form.conversation, answers, self.name, form.user or ""
            )
        except InputError as error:
            _LOG.warning("a prompt can't be kept: %s", error)
        except SQLAlchemyError as error:  # which may quote what was asked
            _LOG.error("a prompt can't be kept: %s", type(error).__name__)
        return None


def service(request: Request) -> Service:
    """The service that a request is for."""
    found: Service = request.app.state.service
    return found
