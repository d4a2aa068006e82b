"""Fields that ask for nothing: taken at such values, refused by name at all others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest
from starlette.testclient import TestClient

from pilot_server import TOKEN, asking, candidate
from truing.people.web.security import RateLimit
from truing.serve import neutral
from truing.serve.app import make_app
from truing.serve.completions import CompletionForm
from truing.serve.engine import Engine
from truing.serve.forms import ChatForm, Message, StreamOptions
from truing.serve.service import Service

pytest.importorskip("openai", reason="the openai client is not installed")

CHAT: dict[str, Any] = {
    "model": "tiny", "messages": [{"role": "user", "content": "a bee?"}], "max_tokens": 4, "seed": 1
}  # fmt: skip
TEXT: dict[str, Any] = {"model": "tiny", "prompt": "a bee", "max_tokens": 4, "seed": 1}
OTHER: dict[str, Any] = {
    "best_of": 2, "n": 2, "stream": True, "suffix": "x", "user": "wren", "stream_options": {"a": 1},
    "frequency_penalty": 0.1, "presence_penalty": -0.1, "logit_bias": {"5": 1}, "logprobs": True,
    "modalities": ["text", "audio"], "response_format": {"type": "json_object"}, "store": True,
    "tools": [{"type": "function"}], "functions": [{"name": "x"}], "tool_choice": "required",
    "top_logprobs": 1, "parallel_tool_calls": "yes", "prompt_cache_options": {"mode": "explicit"},
}  # fmt: skip
"""Values that ask for something; a text does for every other field."""


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    engine = Engine(candidate().model)
    app = make_app(Service(candidate(), engine), TOKEN)
    app.state.gate.requests = RateLimit(1e9, 1e9)
    yield app
    engine.close()


@pytest.fixture(scope="module")
def web(app: Any) -> TestClient:
    return TestClient(
        app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {TOKEN}"}
    )


def cases(fields: neutral.Neutral) -> list[tuple[str, Any]]:
    return [(name, value) for name, values in fields.items() for value in (None, *values)]


@pytest.mark.parametrize(
    ("path", "body", "name", "value"),
    [("chat/completions", CHAT, *case) for case in cases(neutral.OF_CHAT)]
    + [("completions", TEXT, *case) for case in cases(neutral.OF_COMPLETIONS)],
)
def test_what_asks_for_nothing_changes_nothing(
    web: TestClient, path: str, body: dict[str, Any], name: str, value: Any
) -> None:
    plain, asked = (web.post(f"/v1/{path}", json=each) for each in (body, body | {name: value}))
    assert asked.status_code == 200, asked.text
    assert asked.json()["choices"] == plain.json()["choices"]


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [("chat/completions", CHAT, name) for name in neutral.OF_CHAT]
    + [("completions", TEXT, name) for name in neutral.OF_COMPLETIONS],
)
def test_what_asks_for_something_is_refused_by_name(
    web: TestClient, path: str, body: dict[str, Any], name: str
) -> None:
    answer = web.post(f"/v1/{path}", json=body | {name: OTHER.get(name, "something")})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["param"] == name, answer.text
    assert f"{name}: not supported here; leave it out, or give null" in error["message"]


@pytest.mark.parametrize("name", neutral.OF_MESSAGES)
def test_parts_of_messages_are_refused_by_name(web: TestClient, name: str) -> None:
    said = {"role": "assistant", "content": "so", name: "something"}
    answer = web.post("/v1/chat/completions", json=CHAT | {"messages": [said, *CHAT["messages"]]})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == f"messages.0.{name}"


def test_every_field_of_the_client_is_known() -> None:
    from openai.types import completion_create_params as completions
    from openai.types.chat import chat_completion_message, chat_completion_stream_options_param
    from openai.types.chat import completion_create_params as chats

    options = chat_completion_stream_options_param.ChatCompletionStreamOptionsParam
    message = chat_completion_message.ChatCompletionMessage
    for form, params in (
        (ChatForm, get_type_hints(chats.CompletionCreateParamsStreaming)),
        (CompletionForm, get_type_hints(completions.CompletionCreateParamsStreaming)),
        (StreamOptions, get_type_hints(options)),
        (Message, message.model_fields),
    ):
        assert set(params) <= {*form.model_fields, *form.neutral}, form


def test_speakers_names_and_silent_turns_are_taken(web: TestClient) -> None:
    def answer(*turns: dict[str, Any]) -> str:
        body = CHAT | {"messages": [*turns, CHAT["messages"][0]]}
        given = web.post("/v1/chat/completions", json=body).json()
        return str(given["choices"][0]["message"]["content"])

    named = {"role": "user", "content": "who?", "name": "ann"}
    silent = {"role": "assistant", "content": None, "tool_calls": []}
    plain = {"role": "user", "content": "who?"}, {"role": "assistant", "content": ""}
    assert answer(named, silent) == answer(*plain)
    wordless = web.post("/v1/chat/completions", json=CHAT | {"messages": [{"role": "user"}]})
    assert wordless.status_code == 400


def test_a_conversation_goes_on_with_the_answers_of_the_client(app: Any) -> None:
    """The message as the client has it, and as the server wrote it, are both sent back."""
    with asking(app) as client:
        first = client.chat.completions.create(**CHAT).choices[0].message
        dumped = first.model_dump()
        assert first.content.strip() and dumped["refusal"] is None and "tool_calls" in dumped
        more = {"tools": [], "logit_bias": {}, "response_format": {"type": "text"}, "n": 1}
        texts = []
        for said in (first, dumped, {"role": "assistant", "content": first.content}):
            turns = [*CHAT["messages"], said, {"role": "user", "content": "why?"}]
            answer = client.chat.completions.create(**CHAT | {"messages": turns} | more)
            texts.append(answer.choices[0].message.content)
        assert len(set(texts)) == 1
        assert client.completions.create(**TEXT, n=1, logit_bias={}).choices[0].text
