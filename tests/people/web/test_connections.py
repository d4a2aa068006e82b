"""The server under the pages: who is silent, doesn't read, or comes too often."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from page_server import running
from truing.people import Store
from truing.people.web import connections, make_app
from truing.people.web.connections import LOG_SECONDS, OnceAMinute, most_connections
from truing.people.web.security import comes_from, hostname
from waiting import LONG


@pytest.fixture()
def app(sqlite_store: Store) -> FastAPI:
    return make_app(sqlite_store)


@contextmanager
def short() -> Iterator[None]:
    """The times are so short that a test needn't wait: for connections that will say nothing more. Those
    that are to be answered have as long as they need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "HEAD_SECONDS", 0.05)
        patch.setattr(connections, "SILENCE_SECONDS", 0.05)
        yield


def connected(url: str) -> socket.socket:
    address = urlsplit(url)
    opened = socket.create_connection((address.hostname, address.port), timeout=LONG)
    return opened


def ended(connection: socket.socket) -> bool:
    """Waits for the end of a connection; whether it came without an answer."""
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def asked(url: str, head: bytes, body: bytes = b"") -> bytes:
    with closing(connected(url)) as connection:
        connection.sendall(head + b"Connection: close\r\n\r\n" + body)
        pieces = list(iter(lambda: connection.recv(65536), b""))
    return b"".join(pieces)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /health HT",
        b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ],
)
def test_who_says_nothing_more_is_cut_off(
    app: FastAPI, begun: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(app) as url:
        with short(), closing(connected(url)) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may be cut off before
                connection.sendall(begun)
            assert ended(connection)
        assert b"200 OK" in asked(url, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    assert capsys.readouterr().err == ""


def test_a_connection_that_goes_on_is_not_cut_off(app: FastAPI) -> None:
    with running(app) as url:
        kept = HTTPConnection("127.0.0.1", urlsplit(url).port or 0, timeout=LONG)
        kept.connect()
        first = kept.sock

        def ask() -> None:
            kept.request("GET", "/health")
            assert kept.getresponse().read() == b'{"status":"ok"}'

        ask()
        with short():
            for _ in range(3):
                ask()
                with closing(connected(url)) as silent:
                    assert ended(silent)  # later than `kept` fell silent, which has longer
        assert kept.sock is first
        kept.close()


@pytest.fixture()
def endless() -> tuple[FastAPI, threading.Event]:
    """A page that never ends, and whether its reader was given up."""
    given_up = threading.Event()
    app = FastAPI()

    @app.get("/")
    async def page(request: Request) -> StreamingResponse:
        async def text() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65536
                    await asyncio.sleep(0)
            finally:
                given_up.set()

        return StreamingResponse(text())

    return app, given_up


def test_who_does_not_read_is_given_up(
    endless: tuple[FastAPI, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, given_up = endless
    monkeypatch.setattr(connections, "SILENCE_SECONDS", 0.05)
    with running(app) as url, closing(connected(url)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert given_up.wait(LONG)


def test_there_are_never_more_connections_than_descriptors_allow(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 16 <= most_connections() < 4096
    monkeypatch.setattr(connections, "most_connections", lambda: 5)
    with running(app) as url:
        opened = [connected(url) for _ in range(40)]
        assert b"200 OK" in asked(url, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        assert all(ended(each) for each in opened[:30])  # the oldest went first
        for each in opened:
            each.close()
    assert "more than 5 connections at once" in capsys.readouterr().err


@pytest.mark.parametrize("host", [b"[", b"[::1", b"]", b"a[b", b"evil.example", b"[v1.x]", b""])
def test_a_host_that_is_none_is_refused(app: FastAPI, host: bytes) -> None:
    with running(app) as url:
        answer = asked(url, b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 400"), answer
        origin = b"POST /work HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nOrigin: http://"
        assert asked(url, origin + host + b"\r\n").startswith(b"HTTP/1.1 403")


def test_hosts_and_origins() -> None:
    assert hostname("//127.0.0.1:80") == "127.0.0.1" and hostname("//[::1]:80") == "::1"
    assert hostname("//[") is None and hostname("//") is None
    assert comes_from("http://a:80", "a:80") and not comes_from("http://a", "a:80")
    assert not comes_from("http://[", "[")


def record(name: str, message: str, *values: object, error: object = None) -> logging.LogRecord:
    information = (type(error), error, None) if error else None
    return logging.LogRecord(name, logging.ERROR, "", 0, message, values, information)  # type: ignore[arg-type]


def test_what_is_alike_is_logged_once_a_minute() -> None:
    moment = 0.0
    quiet = OnceAMinute(lambda: moment)
    passed = [quiet.filter(record("a", "%d failed", number)) for number in range(1000)]
    assert passed == [True] + [False] * 999
    assert quiet.filter(record("a", "another")) and quiet.filter(record("b", "%d failed", 1))
    moment = LOG_SECONDS
    again = record("a", "%d failed", 7)
    assert quiet.filter(again)
    assert again.getMessage() == "7 failed (and 999 times more in the last minutes)"
    system = record("asyncio", "socket.accept() out\nsocket: <fd=3>", error=OSError(24, "Too many"))
    assert quiet.filter(system) and system.exc_info is None
    assert system.getMessage() == "socket.accept() out ([Errno 24] Too many)"
    percent = record("a", "100 % of %s", error=OSError(1, "50 % full"))
    assert quiet.filter(percent) and "50 % full" in percent.getMessage()
