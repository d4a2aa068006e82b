"""The server as programs see it, through OpenAI's own client."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

from pilot_server import TOKEN, asking, candidate, halt
from truing.models.decoding import BatchedGenerator, Request
from truing.people import Store, tables
from truing.people.web.security import MAX_BODY, RateLimit
from truing.serve.app import make_app
from truing.serve.chat import Chat
from truing.serve.engine import Busy, Closing, Engine
from truing.serve.service import Service
from waiting import LONG, until

openai = pytest.importorskip("openai", reason="the openai client is not installed")
BASE = "http://127.0.0.1"
ASK: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "a bee?"}]}


@pytest.fixture()
def engine() -> Iterator[Engine]:
    made = Engine(candidate().model)
    yield made
    made.close()


@pytest.fixture()
def app(engine: Engine) -> FastAPI:
    app = make_app(Service(candidate(), engine), TOKEN)
    app.state.gate.requests = RateLimit(1e9, 1e9)
    return app


@pytest.fixture()
def client(app: FastAPI) -> Iterator[Any]:
    with asking(app) as client:
        yield client


@pytest.fixture()
def web(app: FastAPI) -> TestClient:
    return TestClient(app, base_url=BASE, headers={"Authorization": f"Bearer {TOKEN}"})


def chat(temperature: float, seed: int, most: int = 12) -> Chat:
    opened = candidate()
    return Chat(opened, BatchedGenerator(opened.model), most, temperature, seed)


def create(client: Any, question: str = "a bee?", **more: Any) -> Any:
    messages = [{"role": "user", "content": question}]
    fields = {"model": "tiny", "messages": messages, "max_tokens": 12} | more
    return client.chat.completions.create(**fields)


def streamed(client: Any, question: str = "a bee?", **more: Any) -> str:
    chunks = create(client, question, stream=True, **more)
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


@pytest.mark.parametrize("temperature", [0.0, 1.3])
def test_answers_are_those_of_chat_alone_and_in_a_batch(client: Any, temperature: float) -> None:
    questions = ["a bee?", "who?", "why is it so?", "a", "be.", "no!", "yes, it is", "x y z", "abc"]
    talk = chat(temperature, 5)
    expected = {question: talk.answer(question) for question in questions}
    asked = {"temperature": temperature, "seed": 5}
    for question in questions[:2]:
        answer = create(client, question, **asked).choices[0].message.content
        assert answer.strip() == expected[question]
    with ThreadPoolExecutor(len(questions)) as pool:
        found = pool.map(lambda question: streamed(client, question, **asked), questions)
    assert [each.strip() for each in found] == list(expected.values())
    assert len(set(expected.values())) > 3


def test_a_stream_ends_with_its_reason_and_its_usage(client: Any) -> None:
    options = {"include_usage": True}
    chunks = list(create(client, seed=1, stream=True, stream_options=options))
    assert chunks[0].choices[0].delta.role == "assistant"
    *_, last, counted = chunks
    assert last.choices[0].finish_reason in ("stop", "length") and counted.choices == []
    whole = create(client, seed=1)
    assert whole.usage.prompt_tokens == counted.usage.prompt_tokens == len("<a bee?><")
    assert whole.usage.completion_tokens == counted.usage.completion_tokens
    assert whole.choices[0].finish_reason == last.choices[0].finish_reason
    text = "".join(c.choices[0].delta.content or "" for c in chunks[:-1])
    assert text == whole.choices[0].message.content
    assert {c.id for c in chunks} == {chunks[0].id} and chunks[0].id != whole.id
    assert all(c.usage is None for c in chunks[:-1])


def test_several_answers_seeds_and_lengths(client: Any) -> None:
    three = create(client, n=3, seed=2, temperature=2.0)
    assert [each.index for each in three.choices] == [0, 1, 2]
    texts = [each.message.content for each in three.choices]
    assert len(set(texts)) == 3
    assert create(client, seed=2, temperature=2.0).choices[0].message.content == texts[0]
    drawn = {create(client, temperature=2.0).choices[0].message.content for _ in range(3)}
    assert len(drawn) == 3  # without a seed every time another
    by_index = ["", "", ""]
    for chunk in create(client, n=3, seed=2, temperature=2.0, stream=True):
        for each in chunk.choices:
            by_index[each.index] += each.delta.content or ""
    assert by_index == texts
    short = create(client, max_tokens=None, max_completion_tokens=3, seed=2, temperature=2.0)
    assert short.usage.completion_tokens <= 3
    assert texts[0].startswith(short.choices[0].message.content)
    assert create(client, top_p=1e-9, seed=3).choices[0].message.content == (
        create(client, temperature=0).choices[0].message.content
    )


def test_stop_texts_end_an_answer_and_are_not_part_of_it(client: Any) -> None:
    free = create(client, seed=4, temperature=1.5, max_tokens=40).choices[0].message.content
    stop = free[5:7]
    for asked in (stop, ["never there", stop]):
        found = create(client, seed=4, temperature=1.5, max_tokens=40, stop=asked).choices[0]
        assert found.message.content == free[: free.index(stop)]
        assert found.finish_reason == "stop"
    assert (
        streamed(client, seed=4, temperature=1.5, max_tokens=40, stop=stop)
        == (free[: free.index(stop)])
    )


def test_parts_and_developers_are_understood(client: Any) -> None:
    parts = [{"type": "text", "text": "a "}, {"type": "text", "text": "bee?"}]
    one = create(
        client, seed=1, messages=[{"role": "developer", "content": "so."}, *ASK["messages"]]
    )
    two = create(client, seed=1, messages=[{"role": "system", "content": "so."},
                                           {"role": "user", "content": parts}])  # fmt: skip
    assert one.choices[0].message.content == two.choices[0].message.content


def test_models_and_health(client: Any, web: TestClient) -> None:
    assert [each.id for each in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "truing"
    with pytest.raises(openai.NotFoundError, match="this server has 'tiny'"):
        create(client, model="gpt")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other/name")
    assert web.get("/health", headers={"Authorization": ""}).json() == {
        "status": "ok", "writing": 0, "waiting": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"n": 9}, "n", "less than or equal to 8"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"seed": "x"}, "seed", "valid integer"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "leave it out, or give null or 0"),
        ({"logprobs": True}, "logprobs", "give null or false"),
        ({"top_k": 3}, "top_k", "not supported here; the fields are model, temperature"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role", "'assistant'"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages", "must be the user's"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages", "empty"),
        ({"messages": [{"role": "user", "content": "x", "nmae": None}]}, "messages.0.nmae", "unknown"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "at most 4"),
        ({"messages": [{"role": "user", "content": "a" * 130}]}, "messages", "holds 128"),
        ({"max_tokens": 127}, "messages", "127 of answer"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_name(
    web: TestClient, fields: dict[str, Any], param: str, words: str
) -> None:
    answer = web.post("/v1/chat/completions", json=ASK | fields)
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["type"] == "invalid_request_error"
    assert error["param"] == param and words in error["message"], error


def test_bodies_that_are_not_json_and_too_large_ones(web: TestClient) -> None:
    for body in (b"", b"{", b"[]", b'"\xff"', b'{"model": "\\ud800"}', b"\x00"):
        answer = web.post("/v1/chat/completions", content=body)
        assert answer.status_code == 400 and answer.json()["error"]["message"], body
    answer = web.post("/v1/chat/completions", content=b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413 and "Too large" in answer.json()["error"]["message"]
    assert web.get("/nothing").json()["error"]["message"] == "There is nothing at this address."
    assert web.get("/v1/chat/completions").status_code == 405


def test_only_the_key_opens(web: TestClient) -> None:
    for key in ("", f"Basic {TOKEN}", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", TOKEN):
        for path, method in (("/v1/models", "GET"), ("/v1/chat/completions", "POST")):
            answer = web.request(method, path, json=ASK, headers={"Authorization": key})
            assert answer.status_code in (401, 429)
            assert answer.json()["error"]["type"] in ("authentication_error", "rate_limit_error")
    assert web.get("/v1/models").status_code == 200  # others' failures don't lock its holder out
    elsewhere = {"Origin": "http://evil.example"}
    assert web.post("/v1/chat/completions", json=ASK, headers=elsewhere).status_code == 403
    assert web.get("/v1/models", headers={"Host": "evil.example"}).status_code == 400


@pytest.fixture()
def halted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While not set, no engine takes a step."""
    return halt(monkeypatch, LONG)


def test_a_client_that_leaves_frees_its_place(
    client: Any, engine: Engine, halted: threading.Event
) -> None:
    stream = create(client, stream=True, max_tokens=100, temperature=2)
    next(iter(stream))
    until(lambda: engine.load == (1, 0))
    stream.close()
    whole = client.with_options(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        create(whole, max_tokens=100, temperature=2)
    time.sleep(0.7)  # the server looks every half a second whether somebody waits
    halted.set()
    until(lambda: engine.load == (0, 0))


def heard(engine: Engine, count: int, most: int = 50) -> list[list[str | None]]:
    news: list[list[str | None]] = [[] for _ in range(count)]
    asked = [Request((5, 6), most, 3.0, seed=number) for number in range(count)]
    engine.submit(asked, [each.append for each in news])
    return news


def test_too_many_wait_in_vain(client: Any, engine: Engine, halted: threading.Event) -> None:
    engine._queue = 2
    heard(engine, engine.places + 2)
    with pytest.raises(Busy):
        heard(engine, 1)
    with pytest.raises(openai.RateLimitError, match="Too many answers are waiting") as caught:
        create(client)
    assert caught.value.response.headers["Retry-After"] == "1"
    halted.set()
    until(lambda: engine.load == (0, 0))
    assert create(client).choices


def test_shutting_down_ends_what_is_unfinished(halted: threading.Event) -> None:
    engine = Engine(candidate().model, places=2)
    news = heard(engine, 3)
    until(lambda: engine.load == (2, 1))
    halted.set()
    engine.close()
    assert all(each[-1] in ("error", "stop", "length") for each in news)
    with pytest.raises(Closing):
        heard(engine, 1)


def test_an_answer_that_fails_is_told_and_the_others_go_on(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = BatchedGenerator.read

    def read(generator: BatchedGenerator, generation: Any) -> None:
        if len(generation.request.prompt) > 20:
            raise RuntimeError("a defect")
        real(generator, generation)

    monkeypatch.setattr(BatchedGenerator, "read", read)
    with pytest.raises(openai.InternalServerError, match="could not be finished"):
        create(client, "a" * 30)
    with pytest.raises(openai.APIError, match="could not be finished"):
        streamed(client, "a" * 30)
    assert create(client).choices[0].message.content is not None


def test_a_prompt_is_kept_only_with_consent(
    sqlite_store: Store, client: Any, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    app.state.service.store = sqlite_store

    def prompts() -> list[tuple[str, str | None]]:
        with sqlite_store.reading() as session:
            found = session.scalars(select(tables.Prompt).order_by(tables.Prompt.id))
            return [(each.messages[-1]["content"], each.user_key) for each in found]

    create(client, "one")
    create(client, "two", user="wren", metadata={"consent": "no"})
    streamed(client, "three", metadata={"about": "birds"})
    assert prompts() == []
    agreed = {"metadata": {"consent": "yes"}, "seed": 1}
    text = create(client, "mail me@bird.org", user="wren", **agreed).choices[0].message.content
    streamed(client, "four", **agreed)
    assert prompts() == [("mail [e-mail]", "wren"), ("four", None)]
    with sqlite_store.reading() as session:
        assert session.scalars(select(tables.Completion)).first().text == text  # type: ignore[union-attr]
    sqlite_store.close()
    with sqlite_store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE askings RENAME TO elsewhere")
    assert create(client, "a secret", **agreed).choices  # an answer isn't lost with the store
    assert "can't be kept" in caplog.text and "secret" not in caplog.text
    for fields in ({"metadata": {"consent": "maybe"}}, {"user": "me@bird.org"}):
        with pytest.raises(openai.BadRequestError, match=r"consent|pseudonym"):
            create(client, **fields)
