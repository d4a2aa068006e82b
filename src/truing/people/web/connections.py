"""The server under our pages: connections that are silent or don't read are closed, there are never more
than file descriptors allow, and what goes wrong again and again is logged once a minute."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""For a request's first line and headers, from the connection's or the request's beginning."""
SILENCE_SECONDS = 30.0
"""Between two pieces of a request's body; and until some of an answer is read that fills the buffers."""
KEEP_ALIVE_SECONDS = 75
"""People think for longer than uvicorn's 5 s; a connection that is closed in the very moment when
somebody sends is a lost request."""
GRACE_SECONDS = 5
"""For answers under way when the server is to end."""
LAST_WORD_SECONDS = 1.0
"""Of these, for telling those whose answer is unfinished."""
BACKLOG = 128
"""Connections that are taken in at once."""
LOG_SECONDS = 60.0


def most_connections() -> int:
    """How many connections the limit of file descriptors leaves room for."""
    try:
        import resource  # absent on some systems
    except ImportError:
        return 256
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        limit = 4096
    # A quarter is for all else: the store, the model, pipes.
    return max(16, min(limit, 4096) * 3 // 4 - BACKLOG)


class Connection(H11Protocol):
    """A connection that must say something, and read what it is answered."""

    most = 0  # set by make_server for all of a server's connections

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.since = time.monotonic()
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is asked on it just now."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if self.most and len(self.connections) > self.most:
            self._make_room()
        self._watch()

    def _make_room(self) -> None:
        """Closes the connection that has been idle, and silent, for longest; where none is, this one."""
        idle = [each for each in self.connections if each.idle and each is not self]  # type: ignore[union-attr]
        oldest: Any = min(idle, key=lambda each: (each.cycle is not None, each.since), default=self)  # type: ignore[union-attr]
        oldest.transport.abort()
        self.connections.discard(oldest)
        self.logger.warning(
            "more than %d connections at once: the oldest idle one is closed", self.most
        )

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        self._watch(heard=True)

    def on_response_complete(self) -> None:
        """See H11Protocol."""
        super().on_response_complete()
        self.since = time.monotonic()
        self._watch()

    def _watch(self, *, heard: bool = False) -> None:
        """Sets, leaves or ends the time for what the client has to send next."""
        state = self.conn.their_state
        waits_for_body = state is h11.SEND_BODY
        waits_for_head = state is h11.IDLE and self.timeout_keep_alive_task is None
        if not (waits_for_body or waits_for_head):
            self._end_deadline()
        elif self._deadline is None or (waits_for_body and heard):
            self._end_deadline()
            seconds = SILENCE_SECONDS if waits_for_body else HEAD_SECONDS
            self._deadline = self.loop.call_later(seconds, self._too_silent)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_silent(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who don't read
            self._watch()
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        self._unread = self.loop.call_later(SILENCE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        self._end_unread()

    def _end_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end_deadline()
        self._end_unread()
        super().connection_lost(exc)


class OnceAMinute(logging.Filter):
    """Lets one of a kind of record through in `LOG_SECONDS`; the next says how many were left out.

    A kind is the first line of a message before its values are put in. What the system says of
    connections is one line, without a traceback.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        kind = (record.name, (str(record.msg).splitlines() or [""])[0])
        now = self._clock()
        last = self._last.get(kind)
        if last is not None and now - last < LOG_SECONDS:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        if len(self._last) > 1000:  # kinds are few; but nobody is to fill the memory with them
            self._last.clear()
        self._last[kind] = now
        if record.exc_info and isinstance(record.exc_info[1], OSError):
            record.msg, record.args, record.exc_info = f"{kind[1]} ({record.exc_info[1]})", (), None
        if left_out := self._left_out.pop(kind, 0):
            record.msg = f"{record.msg} (and {left_out} times more in the last minutes)"
        return True


_ONCE_A_MINUTE = OnceAMinute()
_LOGGERS = ("uvicorn.error", "asyncio", "truing.people.web", "truing.serve")


class Server(uvicorn.Server):
    """uvicorn's, which says before its end that it ends."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._closing = closing

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server: `closing` is called while there is still time to tell who waits."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(GRACE_SECONDS - LAST_WORD_SECONDS, self._closing)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


def make_server(
    app: FastAPI,
    closing: Callable[[], None] = lambda: None,
    *,
    proxy: str | None = None,
) -> uvicorn.Server:
    """A server of an application, to be run; `closing` ends what would go on for longer than is waited.

    A visitor's address is the connection's, whatever headers say, unless a `proxy` is named that is
    trusted to say whose request it passes on.
    """
    kind = type("Connection", (Connection,), {"most": most_connections()})
    config = uvicorn.Config(
        app,
        http=kind,
        ws="none",
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,  # it would write down sign-in links
        server_header=False,
        proxy_headers=proxy is not None,
        forwarded_allow_ips=proxy,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    return Server(config, closing)


def quieten_logs() -> None:
    """From now on, servers and our pages log what is alike once a minute."""
    for name in _LOGGERS:
        for logger in _with_children(name):
            logger.addFilter(_ONCE_A_MINUTE)


def _with_children(name: str) -> list[logging.Logger]:
    """A filter of a logger isn't asked about its children's records."""
    children = [each for each in logging.root.manager.loggerDict if each.startswith(f"{name}.")]
    return [logging.getLogger(each) for each in (name, *children)]
