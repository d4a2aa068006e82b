"""Servers that send anything: each ends as one short message or a counted unscored, soon and in little
memory."""

from __future__ import annotations

import json
import re
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from endpoints import KEY, Answer, Chat, Completions, knows, scored_by_name, serving
from hostile import BYTES, DOCUMENTS, MISBEHAVIOURS, PACED, Raw, raw_serving, said, whole
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.served_answers import choose_interface, served_answers
from truing.evaluate.served_choices import choose_mode, served_choices
from truing.models.memo.answers import Answer as Filed
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.body import complaint
from truing.models.remote.client import (
    Connection,
    EndpointError,
    PatientClient,
    Refused,
)
from truing.models.remote.endpoint import Endpoint, EndpointName
from truing.prompts.variants import prompt_variants
from truing.types import Case, InputError, Unscored

HASTY = Connection(timeout=1.0, longest=1.2, first_wait=0.001, attempts=2, at_once=2)
PATIENT = replace(
    HASTY, timeout=60.0, longest=60.0
)  # where an answer has to come, however busy we are

ORACLE = Completions()


@pytest.fixture(autouse=True)
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test sends megabytes."""
    monkeypatch.setattr("truing.models.remote.body.LARGEST", 4 * 2**20)


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path / "scores.sqlite")


def is_one_line(message: str) -> bool:
    return message.isprintable() and 0 < len(message) < 600


# --- What is asked once ------------------------------------------------------------------------


@pytest.mark.parametrize("name", BYTES)
def test_what_is_no_answer_ends_as_one_short_message(name: str) -> None:
    with raw_serving(lambda path, body: BYTES[name]()) as server:
        client = PatientClient(server.url, HASTY)
        with pytest.raises(EndpointError) as raised:
            client.post("completions", {})
        client.close()
    assert is_one_line(str(raised.value)), raised.value


@pytest.mark.parametrize("name", DOCUMENTS)
def test_answers_of_another_form_are_refused_or_undefined(name: str) -> None:
    with raw_serving(lambda path, body: said(DOCUMENTS[name])) as server:
        endpoint = Endpoint(EndpointName(server.url, "m"), PATIENT)
        for ask in _questions(endpoint):
            try:
                ask()
            except EndpointError as error:
                assert is_one_line(str(error)), error
        endpoint.close()


def _questions(endpoint: Endpoint) -> list[Callable[[], object]]:
    return [
        lambda: endpoint.chat([{"role": "user", "content": "?"}], max_tokens=8),
        lambda: endpoint.write("?", max_tokens=8, stop="\n"),
        lambda: endpoint.continuation_log_probs("Q: 1\nA:", [" one"]),
    ]


def test_memory_stays_within_the_limit_of_an_answer() -> None:
    with raw_serving(lambda path, body: BYTES["a packed body without end"]()) as server:
        client = PatientClient(server.url, PATIENT)
        tracemalloc.start()
        with pytest.raises(Refused, match="more than 4 MB"):
            client.post("completions", {})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        client.close()
    assert peak < 32 * 2**20  # of 200 MB


# --- Questions among others --------------------------------------------------------------------


NAMES = list(MISBEHAVIOURS)


class Partly:
    """Behaves, but at every other question."""

    def __init__(self, behaves: Callable[[str, dict[str, Any]], Answer]) -> None:
        self.behaves, self.lock = behaves, threading.Lock()

    def __call__(self, path: str, body: dict[str, Any]) -> Raw:
        if bad := re.search(r"who is number (\d+)\?", json.dumps(body)):
            return MISBEHAVIOURS[NAMES[int(bad[1])]]()
        with self.lock:
            status, document, *_ = self.behaves(path, body)
        return said(document, f"{status} Status")


@pytest.mark.parametrize("behaves", [ORACLE, Chat(knows)], ids=["likelihoods", "letters"])
@pytest.mark.parametrize(
    ("names", "connection"),
    [
        ([name for name in NAMES if name not in PACED], PATIENT),
        (list(PACED), replace(HASTY, timeout=4.0, longest=4.0, at_once=len(PACED))),
    ],
    ids=["at once", "paced"],
)
def test_bad_answers_leave_their_questions_unscored(
    behaves: Any, names: list[str], connection: Connection, store: ScoreStore
) -> None:
    numbers = [NAMES.index(name) for name in names]
    asked = [
        *(Case(f"who is ann {number}?", ("ann is a cat",), ("it is a dog",)) for number in numbers),
        *(
            Case(f"who is number {number}?", ("it is a cat",), ("it is a dog",))
            for number in numbers
        ),
    ]
    with raw_serving(Partly(behaves)) as server:
        endpoint = Endpoint(EndpointName(server.url, "tiny"), connection)
        mode, _ = choose_mode(endpoint, "auto")
        rows = served_choices(endpoint, mode, prompt_variants(["none"])[0], asked, store, 0).choices
        endpoint.close()
    good = [row for row in rows[: len(names)] if isinstance(row, Choices | Lettered)]
    assert [row.metrics["mc1"] in (0.0, 1.0) for row in good] == [True] * len(names)
    for name, row in zip(names, rows[len(names) :], strict=True):
        score = row if isinstance(row, Unscored) else row.metrics["mc1"]
        assert isinstance(score, Unscored) and is_one_line(score.reason), name


def test_a_chat_that_thinks_has_room_to(store: ScoreStore) -> None:
    """With few tokens there is no end to its thoughts, and no letter."""

    def thinks(path: str, body: dict[str, Any]) -> Answer:
        if path != "/v1/chat/completions":
            return 404, {}
        full = body["max_tokens"] >= 500
        text = f"<think>hm</think>{knows(body['messages'][-1]['content'])}" if full else "<think>hm"
        choice = {"message": {"content": text}, "finish_reason": "stop" if full else "length"}
        return 200, {"choices": [choice]}

    with serving(thinks) as server:
        rows = scored_by_name(server.name, store, "chat", PATIENT).choices
    assert [row.metrics["mc1"] for row in rows if isinstance(row, Lettered)] == [1.0] * 5


@pytest.mark.parametrize(
    "first",
    [
        (400, {"error": {"message": "Could not finish the message: max_tokens was reached."}}),
        (200, {"choices": [{"message": {"content": ""}, "finish_reason": "length"}],
               "usage": {"completion_tokens_details": {"reasoning_tokens": 16}}}),
        (200, {"choices": [{"message": {"content": None, "reasoning_content": "hm"}}]}),
        (200, {"choices": [{"message": {"content": [{"type": "thinking", "thinking": []}]}}]}),
    ],
    ids=["refused", "counted", "beside", "in parts"],
)  # fmt: skip
def test_a_trial_finds_out_that_a_model_thinks(first: Answer) -> None:
    reply = {"choices": [{"message": {"content": "</think>A"}, "finish_reason": "stop"}]}

    def behave(path: str, body: dict[str, Any]) -> Answer:
        return first if body["max_tokens"] < 100 else (200, reply)

    with serving(behave) as server:
        endpoint = Endpoint(EndpointName.parse(server.name), PATIENT)
        endpoint.try_chat()
        assert choose_interface(endpoint, "auto")[0] == "chat"
        endpoint.close()
    assert endpoint.thinks


# --- What servers say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "no such model", "type": "x", "code": 404}}, "no such model"),
        ({"error": "no such model"}, "no such model"),
        ({"message": "no such model", "object": "error"}, "no such model"),
        ([{"error": {"message": "no such model"}}], "no such model"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}, {"loc": ["body", "n"],
          "msg": "too large"}]}, "body.seed: not permitted; body.n: too large"),
        ({"object": "error", "message": {"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}},
         "body.seed: extra"),
        ({"errors": [{"title": "Busy"}, {"title": "Really"}]}, "Busy; Really"),
        ({"error": {"message": "Unsupported value", "param": "seed"}}, "seed: Unsupported value"),
        ("<html><body><h1>502 Bad Gateway</h1>", "502 Bad Gateway"),
        ("upstream is gone", "upstream is gone"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_the_servers_own_words_are_shown(body: object, words: str) -> None:
    sent = body if isinstance(body, str) else json.dumps(body)
    with raw_serving(lambda path, asked: whole(sent.encode(), "400 Bad Request")) as server:
        client = PatientClient(server.url, PATIENT)
        with pytest.raises(Refused) as raised:
            client.post("chat/completions", {})
        client.close()
    assert str(raised.value) == f"answered 400 ({words})"


def test_a_complaint_is_matched_before_it_is_cut() -> None:
    long = [{"loc": ["body", "x"], "msg": "y" * 300}]

    def behave(path: str, body: dict[str, Any]) -> Answer:
        if "seed" in body:
            unknown = {"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
            return 422, {"detail": [*long, unknown]}
        return 200, {"choices": [{"message": {"content": "A"}}]}

    with serving(behave) as server:
        endpoint = Endpoint(EndpointName.parse(server.name), PATIENT)
        assert endpoint.chat([], max_tokens=4).text == "A"
        endpoint.close()


@pytest.mark.parametrize("code", [503, "429"])
def test_an_error_sent_with_200_that_passes_is_waited_for(code: object) -> None:
    good = {"choices": [{"message": {"content": "A"}}]}
    answers: list[Answer] = [(200, {"error": {"message": "busy", "code": code}}), (200, good)]
    with serving(lambda path, body: answers.pop(0)) as server:
        client = PatientClient(server.name.removeprefix("endpoint:").split("#")[0], PATIENT)
        assert client.post("chat/completions", {}) == good
        client.close()


def test_words_without_end_are_cut_and_hide_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_ENDPOINT_KEY", KEY)
    body = json.dumps({"detail": [{"msg": f"{KEY} {'x' * 9}"}] * 50 + [{"msg": "z" * 900}]})
    with raw_serving(lambda path, asked: whole(body.encode())) as server:
        client = PatientClient(server.url, PATIENT)
        with pytest.raises(Refused) as raised:
            client.post("chat/completions", {})
        client.close()
    assert KEY not in str(raised.value) and len(str(raised.value)) < 300
    assert "KEY xxx" in str(raised.value)


def test_complaints_in_anything_are_found_in_time() -> None:
    assert complaint(b"<" * 10**6).strip() and len(complaint(b'["a"]' * 10**6)) < 10**5


# --- Texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "Hello, "}, {"type": "text", "text": "Ann"}], "Hello, Ann"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
          {"type": "text", "text": "A"}], "A"),
        (["A", "nn"], "Ann"),
        ([], ""),
        (None, ""),
        ("half \ud800 of a pair", "half \ufffd of a pair"),
    ],
    ids=["parts", "thoughts", "texts", "none", "null", "half a pair"],
)  # fmt: skip
def test_an_answer_is_the_text_in_its_content(content: object, text: str, tmp_path: Path) -> None:
    document = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    with raw_serving(lambda path, body: said(document)) as server:
        endpoint = Endpoint(EndpointName(server.url, "m"), PATIENT)
        store = AnswerStore(tmp_path / "answers.sqlite")
        variant = prompt_variants(["none"])[0]
        [answer] = served_answers(endpoint, ("chat", ""), variant, [Case("?")], 8, store).answers
        endpoint.close()
    assert answer == Filed(text, True)


# --- Names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["a" * 64, "a..b", "xn--\u0080", "[::1", "a b", "\ud800", "xn--a-ecp.ru" + "x" * 80, "h:99999",
     "h:port", "\x00", "*", "%"],
    ids=ascii,
)  # fmt: skip
def test_hosts_that_can_not_be_are_refused(host: str) -> None:
    """In the name, or where the host is looked for: in one line either way."""
    try:
        endpoint = Endpoint(EndpointName.parse(f"endpoint:http://{host}/v1#m"), PATIENT)
    except InputError as error:
        assert "\n" not in str(error) and "name it endpoint:URL#MODEL" in str(error)
        return
    with pytest.raises(InputError, match="can't be reached"):
        endpoint.try_chat()
    endpoint.close()


def test_a_proxy_that_can_not_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "gopher://nowhere:70")
    with pytest.raises(InputError, match="the environment names"):
        PatientClient("https://models.example/v1", PATIENT)
