"""A deadline for a whole exchange with a server, its headers included.

A limit on each read alone lets a server go on for ever, a byte at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

import httpcore2
import httpx2

_PIECE = 16_384  # bytes that are sent between two looks at the clock


class Deadline:
    """When each thread's exchange must be over; none where it has none."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Ends this thread's reads and writes through a timed client after so many seconds."""
        self._local.end = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._local.end

    def timeout(self, wanted: float | None) -> float | None:
        """The shorter of a wanted time and what is left. Raises ReadTimeout where nothing is."""
        end: float | None = getattr(self._local, "end", None)
        if end is None:
            return wanted
        left = end - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the answer took too long")
        return left if wanted is None else min(wanted, left)

    def hold(self, client: httpx2.Client) -> None:
        """Makes all that the client reads and writes keep to this deadline, through proxies too."""
        for transport in (client._transport, *client._mounts.values()):
            if isinstance(transport, httpx2.HTTPTransport):
                pool = transport._pool
                pool._network_backend = _TimedBackend(pool._network_backend, self)


class _TimedBackend(httpcore2.NetworkBackend):
    """Makes connections that keep to a deadline."""

    def __init__(self, inner: httpcore2.NetworkBackend, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """See NetworkBackend."""
        timeout = self._deadline.timeout(timeout)
        stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _TimedStream(stream, self._deadline)

    def sleep(self, seconds: float) -> None:
        """See NetworkBackend."""
        self._inner.sleep(seconds)


class _TimedStream(httpcore2.NetworkStream):
    """A connection that keeps to a deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """See NetworkStream."""
        return self._inner.read(max_bytes, self._deadline.timeout(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """See NetworkStream."""
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], self._deadline.timeout(timeout))

    def close(self) -> None:
        """See NetworkStream."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """See NetworkStream."""
        timeout = self._deadline.timeout(timeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """See NetworkStream."""
        return self._inner.get_extra_info(info)
