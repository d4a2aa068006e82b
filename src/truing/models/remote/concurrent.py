"""Asking a server many things, a few at once, and giving up on one that is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from truing.models.remote.client import EndpointError, Unreachable
from truing.models.remote.endpoint import Endpoint
from truing.types import Unscored

_CLOSED = frozenset({401, 402, 403, 404})  # the key, the credit or the model is gone
GIVE_UP = 3  # questions in a row that the server failed on: it's gone
HINT = "see that the server answers, and give the same command again"
"""What would help where nothing came back."""

Made = TypeVar("Made")


def asked_at_once(
    endpoint: Endpoint, jobs: Mapping[int, Callable[[], Made]], *, needed: bool = False
) -> Iterator[tuple[int, Made | Unscored]]:
    """Each job's outcome as it comes, a few at once. After several failures in a row no more is asked.

    Where outcomes are `needed`, raises Unreachable once the server is gone: what it fails on last, or
    several in a row, a key or a model that it knows no more too. An error of the server's own about one
    text (500) is no sign of that by itself.
    """
    waiting = iter(jobs)
    running: dict[Future[Made], int] = {}
    failures, gone = 0, None
    pool = ThreadPoolExecutor(endpoint.at_once)
    try:
        while True:
            while failures < GIVE_UP and len(running) < endpoint.at_once:
                number = next(waiting, None)
                if number is None:
                    break
                running[pool.submit(jobs[number])] = number
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                number = running.pop(future)
                try:
                    yield number, future.result()
                    failures, gone = 0, None
                except EndpointError as error:
                    closed = needed and error.status in _CLOSED
                    unreachable = isinstance(error, Unreachable) or closed
                    failures = failures + 1 if unreachable else 0
                    gone = error if unreachable and error.status != 500 else None
                    yield number, Unscored(f"left out, the endpoint {error}")
    except BaseException:
        endpoint.close()  # what waits for an answer ends now
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if needed and (gone or failures >= GIVE_UP):
        status = gone.status if gone else 0
        raise Unreachable(str(gone or f"failed on {GIVE_UP} texts in a row"), status)
    for number in waiting:
        yield number, Unscored(f"left out, the endpoint had failed on {GIVE_UP} questions in a row")
