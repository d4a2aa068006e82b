"""A server of a tiny candidate in a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from tiny import tiny
from truing.candidates import Candidate
from truing.people.web.connections import make_server
from truing.prompts.rendering import Prompt

TOKEN = "a-key-of-ours"


def candidate(prompt: Prompt | None = None, *, chat: bool = True) -> Candidate:
    """A tiny random model that is asked through a chat template."""
    return Candidate("tiny", 0, tiny(chat=chat), prompt or Prompt())


@contextmanager
def running(app: FastAPI, closing: Callable[[], None] = lambda: None) -> Iterator[str]:
    """The address of a server of this application, which ends with the block."""
    server = make_server(app, closing, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def until(true: Callable[[], bool]) -> None:
    """Waits for something to be true. Raises AssertionError after 10 seconds."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("waited for 10 s")
