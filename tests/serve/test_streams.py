"""Streams whose reader is slow or has gone, half requests, and the server's end."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI

from page_server import running
from pilot_server import TOKEN, asking, candidate, halt
from truing.models.decoding import Request
from truing.people.web import connections
from truing.serve import streams
from truing.serve.answering import Answers
from truing.serve.app import make_app
from truing.serve.engine import Engine
from truing.serve.service import Service
from waiting import LONG, until

openai = pytest.importorskip("openai", reason="the openai client is not installed")
ASK = {
    "model": "tiny", "messages": [{"role": "user", "content": "a bee?"}], "temperature": 2,
    "seed": 5,  # a long answer
}  # fmt: skip


@pytest.fixture()
def engine() -> Iterator[Engine]:
    made = Engine(candidate().model)
    yield made
    made.close()


@pytest.fixture()
def app(engine: Engine) -> FastAPI:
    return make_app(Service(candidate(), engine), TOKEN)


@pytest.fixture()
def halted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While not set, an engine takes few steps."""
    return halt(monkeypatch, 0.05)


def test_what_is_not_read_is_kept_once(engine: Engine) -> None:
    """All that was written since comes in one piece, however late it is asked for."""
    asked = [Request((5, 6), 100, 2.0, seed=number) for number in range(3)]

    async def read_late() -> tuple[Answers, list[tuple[int, str, str | None]]]:
        with Answers(engine, asked) as answers:
            await asyncio.to_thread(until, lambda: engine.load == (0, 0))
            return answers, [each async for each in answers.news()]

    with ThreadPoolExecutor(1) as pool:  # this thread may have a loop of a browser's
        answers, pieces = pool.submit(asyncio.run, read_late()).result()
    assert [index for index, _, _ in pieces] == [0, 1, 2]
    assert [added for _, added, _ in pieces] == answers.texts
    assert all(finish for _, _, finish in pieces) and all(answers.texts)


def opened(url: str, body: bytes, *, length: int | None = None) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection((address.hostname, address.port), timeout=LONG)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {length or len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def test_half_a_request_is_cut_off_without_a_word(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connections, "SILENCE_SECONDS", 0.05)
    with running(app) as url, closing(opened(url, b'{"model', length=100)) as connection:
        assert connection.recv(100) == b""
    assert capsys.readouterr().err == ""


def test_a_reader_that_reads_nothing_loses_its_place(
    app: FastAPI, engine: Engine, monkeypatch: pytest.MonkeyPatch, halted: threading.Event
) -> None:
    monkeypatch.setattr(connections, "SILENCE_SECONDS", 0.1)
    real, begin, begun = streams.event, engine._generator.begin, []
    # Every event fills the buffers, as those of very many tokens would.
    monkeypatch.setattr(streams, "event", lambda document: real(document) + ":" + "x" * 5_000_000)
    monkeypatch.setattr(
        engine._generator, "begin", lambda asked: begun.append(begin(asked)) or begun[-1]
    )
    with running(app) as url:
        body = json.dumps(ASK | {"stream": True, "max_tokens": 100}).encode()
        with closing(opened(url, body)):
            until(lambda: begun and begun[0].tokens)
            until(lambda: engine.load == (0, 0))
    assert begun[0].finish is None and len(begun[0].tokens) < 100  # it was given up


def test_a_stream_that_the_end_cuts_off_says_so(
    app: FastAPI, engine: Engine, monkeypatch: pytest.MonkeyPatch, halted: threading.Event
) -> None:
    monkeypatch.setattr(connections, "LAST_WORD_SECONDS", connections.GRACE_SECONDS - 0.1)
    texts: list[str] = []
    with openai.OpenAI(base_url="http://x", api_key=TOKEN, max_retries=0, timeout=LONG) as client:
        with running(app, engine.stop) as url:
            client.base_url = f"{url}/v1"
            stream = iter(client.chat.completions.create(**ASK, stream=True, max_tokens=110))
            next(stream)
            whole = threading.Thread(target=lambda: texts.append(refused(client)))
            whole.start()
            until(lambda: engine.load == (2, 0))
        with pytest.raises(openai.APIError, match="shutting down"):
            list(stream)
        whole.join()
    assert "shutting down" in texts[0]


def refused(client: Any) -> str:
    try:
        client.chat.completions.create(**ASK, max_tokens=110)
    except openai.APIStatusError as error:
        assert error.status_code == 503
        return str(error)
    return ""


def test_an_answer_without_memory_is_refused_and_others_wait_for_it(
    halted: threading.Event,
) -> None:
    served = candidate()
    token_bytes = 2 * 2 * 2 * 8 * 4  # keys and values, layers, heads, their size, float32
    engine = Engine(served.model, most_bytes=70 * token_bytes)
    app = make_app(Service(served, engine), TOKEN)
    with asking(app) as client:
        with pytest.raises(openai.BadRequestError, match=r"109 tokens .* ask for less"):
            client.chat.completions.create(**ASK, max_tokens=100)
        with pytest.raises(openai.BadRequestError, match=r"prompt: .* ask for less"):
            client.completions.create(model="tiny", prompt="a", max_tokens=100)
        ended = threading.Semaphore(0)

        def hear(finish: str | None) -> None:
            if finish:
                ended.release()

        asked = [Request((5, 6), 30, 2.0, seed=number) for number in range(4)]
        engine.submit(asked, [hear] * 4)
        until(lambda: engine.load == (2, 2))  # two of 32 tokens fit into 70
        assert engine.committed_bytes == 64 * token_bytes
        halted.set()
        assert all(ended.acquire(timeout=LONG) for _ in range(4))
    engine.close()
