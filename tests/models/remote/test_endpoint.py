"""Served models: their likelihoods, and servers that misbehave."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from endpoints import (
    CASES,
    KEY,
    QUICK,
    Answer,
    Chat,
    Completions,
    knows,
    scored,
    scored_by_name,
    serving,
)
from page_server import running
from pilot_server import TOKEN, candidate
from tiny import tiny
from truing.candidates import Candidate
from truing.evaluate.lettered import Lettered
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.variant import StoredVariant
from truing.evaluate.variant_choices import variant_choices
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.client import (
    Connection,
    PatientClient,
    Refused,
    Unreachable,
    retry_after,
)
from truing.prompts.rendering import Prompt
from truing.prompts.variants import prompt_variants
from truing.serve.app import make_app
from truing.serve.engine import Engine
from truing.serve.service import Service
from truing.types import InputError, Unscored


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return ScoreStore(tmp_path / "scores.sqlite")


def local_scores(store: ScoreStore) -> list[Choices | Lettered | Unscored]:
    """The same cases scored by the same weights in this process."""
    local = Candidate("tiny", 0, tiny(), Prompt())
    answers = AnswerStore(Path(store._path).with_name("answers.sqlite"))
    variant = StoredVariant(prompt_variants(["none"])[0], "auto", "w", "float32", store, answers)
    return variant_choices(local, variant, CASES).choices


# --- Likelihoods -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server",
    [
        Completions(),
        Completions(refuses_zero=True),
        Completions(refuses_zero=True, end_unlisted=True),
        Completions(alone=True),
    ],
    ids=["plain", "writes a token", "writes the end", "one at a time"],
)
def test_served_scores_equal_local_ones(server: Completions, store: ScoreStore) -> None:
    with serving(server) as up:
        found = scored(up, store)
    assert found.computed == 4 * len(CASES)
    for here, there in zip(local_scores(store), found.choices, strict=True):
        assert isinstance(here, Choices) and isinstance(there, Choices)
        assert there.true == pytest.approx(here.true, abs=1e-4)
        assert there.false == pytest.approx(here.false, abs=1e-4)


def test_what_was_scored_is_not_asked_again_but_for_another_fingerprint(store: ScoreStore) -> None:
    with serving(Completions()) as server:
        assert scored(server, store).computed == 20
        asked = len(server.seen)
        assert scored(server, store).computed == 0
        assert len(server.seen) == asked + 1  # the trial alone
        oracle = Completions()

        def renamed(path: str, body: dict[str, Any]) -> Answer:
            status, said, *_ = oracle(path, body)
            return status, {**said, "system_fingerprint": "another"}

        server.behaviour = renamed
        assert scored(server, store).computed == 20


def test_no_more_is_asked_at_once_than_allowed(store: ScoreStore) -> None:
    with serving(Completions()) as server:
        scored(server, store)
        assert 1 <= server.most_at_once <= QUICK.at_once


# --- Servers that misbehave --------------------------------------------------------------------


def flaky(failure: Answer, times: int) -> Any:
    """Fails so often at every new question, then answers."""
    oracle, failed = Completions(), dict[str, int]()

    def behave(path: str, body: dict[str, Any]) -> Answer:
        text = json.dumps(body)
        failed[text] = failed.get(text, 0) + 1
        return failure if failed[text] <= times else oracle(path, body)

    return behave


@pytest.mark.parametrize(
    "failure",
    [
        (429, {"error": {"message": "slow down"}}, {"Retry-After": "0"}),
        (503, "down for a moment"),
        (200, '{"choices": [}'),
        (200, "[1, 2]"),
    ],
)
def test_what_passes_is_waited_for(failure: Answer, store: ScoreStore) -> None:
    with serving(flaky(failure, 1)) as server:
        assert all(isinstance(choices, Choices) for choices in scored(server, store).choices)


def test_a_busy_moment_does_not_decide_how_a_model_is_scored(store: ScoreStore) -> None:
    oracle, asked = Completions(), 0

    def busy(path: str, body: dict[str, Any]) -> Answer:
        nonlocal asked
        asked += 1
        return oracle(path, body) if asked > 4 else (429, "", {"Retry-After": "0"})

    with serving(busy) as server:
        assert isinstance(scored(server, store).choices[0], Choices)
    with serving(
        lambda p, b: Chat(knows)(p, b) if "chat" in p else (500, "only no echo")
    ) as server:
        assert isinstance(scored(server, store).choices[0], Lettered)
        assert [path for path, _ in server.seen].count("/v1/completions") == 2


def test_a_timeout_is_tried_again(store: ScoreStore) -> None:
    hasty = Connection(timeout=1.5, first_wait=0.01, at_once=4)
    with serving(flaky((0, 2.0), 1)) as server:
        found = scored(server, store, connection=hasty)
    assert all(isinstance(choices, Choices) for choices in found.choices)


def test_questions_that_fail_for_ever_are_unscored_and_asked_again(store: ScoreStore) -> None:
    oracle, broken = Completions(), True

    def behave(path: str, body: dict[str, Any]) -> Answer:
        if broken and "who is cleo" in json.dumps(body):
            return 500, {"error": {"message": f"cleo broke me, {KEY}"}}
        return oracle(path, body)

    with serving(behave) as server:
        found = scored(server, store)
        failed = found.choices[2]
        assert isinstance(failed, Unscored) and "500 (cleo broke me" in failed.reason
        assert "after 5 attempts" in failed.reason
        assert sum(isinstance(choices, Choices) for choices in found.choices) == 4
        broken = False
        again = scored(server, store)
        assert again.computed == 4 and isinstance(again.choices[2], Choices)


def test_a_server_that_dies_is_left_and_what_it_gave_is_kept(store: ScoreStore) -> None:
    oracle, answered = Completions(), 0

    def behave(path: str, body: dict[str, Any]) -> Answer:
        nonlocal answered
        answered += 1
        return oracle(path, body) if answered <= 2 else (500, "")

    alone = Connection(first_wait=0.001, at_once=1, attempts=2)
    with serving(behave) as server:
        found = scored(server, store, connection=alone)
        assert isinstance(found.choices[0], Choices)
        reasons = [choices.reason for choices in found.choices[1:] if isinstance(choices, Unscored)]
        assert len(reasons) == 4 and "3 questions in a row" in reasons[3]
        answered = -99
        assert scored(server, store, connection=alone).computed == 16


def test_a_question_that_is_refused_is_unscored_and_not_tried_again(store: ScoreStore) -> None:
    oracle = Completions()

    def behave(path: str, body: dict[str, Any]) -> Answer:
        if "who is dan" in json.dumps(body):
            return 400, {"error": {"message": "context too long: 9000 tokens"}}
        return oracle(path, body)

    with serving(behave) as server:
        found = scored(server, store)
        assert len(server.seen) == 1 + len(CASES)
    assert isinstance(found.choices[3], Unscored)
    assert "context too long: 9000 tokens" in found.choices[3].reason


@pytest.mark.parametrize(
    "logprobs",
    [None, {"content": []}, {"token_logprobs": [-0.5], "tokens": ["x"]}, {"token_logprobs": None}],
    ids=["none", "the chat's form", "of the new token alone", "null"],
)
def test_log_probabilities_that_are_not_the_texts_own_are_not_taken(
    logprobs: object, store: ScoreStore
) -> None:
    def behave(path: str, body: dict[str, Any]) -> Answer:
        if path.endswith("/v1/completions"):
            prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
            choices = [
                {"index": n, "text": text, "logprobs": logprobs} for n, text in enumerate(prompts)
            ]
            return 200, {"choices": choices}
        return Chat(knows)(path, body)

    with serving(behave) as server:
        assert isinstance(scored(server, store).choices[0], Lettered)
        with pytest.raises(InputError, match="lists no log-probabilities"):
            scored(server, store, "text")


def test_undefined_likelihoods_are_unscored(store: ScoreStore) -> None:
    oracle = Completions()

    def behave(path: str, body: dict[str, Any]) -> Answer:
        status, said, *_ = oracle(path, body)
        if "who is eve" in json.dumps(body):
            said["choices"][0]["logprobs"]["token_logprobs"][-1] = math.nan
        return status, said

    with serving(behave) as server:
        last = scored(server, store).choices[4]
    assert isinstance(last, Choices) and isinstance(last.mc1, Unscored)


def test_the_key_goes_to_the_server_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, store: ScoreStore
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    said: list[str] = []
    with serving(lambda path, body: (500, {"error": {"message": f"bad key {KEY}"}})) as server:
        url = server.name.removeprefix("endpoint:").partition("#")[0]
        client = PatientClient(url, Connection("MY_KEY", first_wait=0.001, attempts=2), said.append)
        with pytest.raises(Unreachable, match="bad key KEY") as raised:
            client.post("completions", {})
        client.close()
        assert server.keys == [f"Bearer {KEY}"] * 2
    assert said and KEY not in "".join(said) + str(raised.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(InputError, match="MY_KEY"):
        Connection("MY_KEY").key()


def test_redirects_are_not_followed_and_long_waits_end_at_once() -> None:
    answers: list[Answer] = [
        (307, "", {"Location": "http://127.0.0.1:1/"}),
        (429, "", {"Retry-After": "3600"}),
    ]
    with serving(lambda path, body: answers.pop(0)) as server:
        client = PatientClient(server.name.removeprefix("endpoint:").split("#")[0], QUICK)
        with pytest.raises(Refused, match="307"):
            client.post("x", {})
        with pytest.raises(Unreachable, match="asks to wait 3600 s"):
            client.post("x", {})
        client.close()


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after("7") == 7.0
    assert retry_after(None) is retry_after("soon") is None
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    far = retry_after("Fri, 21 Oct 2095 07:28:00 GMT")
    assert far is not None and far > 1e9


# --- Truing's own server -----------------------------------------------------------------------


def test_what_truing_serves_scores_as_it_does_here(
    store: ScoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_ENDPOINT_KEY", TOKEN)
    served = candidate()
    engine = Engine(served.model)
    with running(make_app(Service(served, engine), TOKEN)) as url:
        name = f"endpoint:{url}#tiny"
        found, chosen = scored_by_name(name, store), scored_by_name(name, store, "chat")
    engine.close()
    for here, there in zip(local_scores(store), found.choices, strict=True):
        assert isinstance(here, Choices) and isinstance(there, Choices)
        assert there.true == pytest.approx(here.true, abs=1e-4)
        assert there.false == pytest.approx(here.false, abs=1e-4)
    assert all(isinstance(choices, Lettered) for choices in chosen.choices)
