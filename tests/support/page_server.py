"""A server of our pages in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from truing.people.web.connections import make_server


@contextmanager
def running(
    app: FastAPI, closing: Callable[[], None] = lambda: None, *, proxy: str | None = None
) -> Iterator[str]:
    """The address of a server of this application, which ends with the block."""
    server = make_server(app, closing, proxy=proxy)
    server.config.port = 0
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
