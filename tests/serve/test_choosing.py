"""A candidate that chooses among its answers, behind the server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from pilot_server import TOKEN, asking, candidate
from truing.candidates import Candidate
from truing.models.decoding import BatchedGenerator, Request
from truing.rewards.best_of_n import BestOfN
from truing.rewards.reward import Answered
from truing.serve.app import make_app
from truing.serve.chat import Chat
from truing.serve.engine import Busy, Engine
from truing.serve.service import Service
from truing.types import Score
from waiting import LONG, until

openai = pytest.importorskip("openai", reason="the openai client is not installed")
N, TOKENS = 5, 10


class Vowels:
    """Counts vowels, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[Answered] = []

    def __call__(self, answers: Sequence[Answered]) -> list[Score]:
        self.seen += answers
        return [float(sum(a.answer.count(v) for v in "aeiou")) for a in answers]


REWARD = Vowels()


@pytest.fixture(scope="module")
def chooser() -> Candidate:
    return replace(candidate(), best_of_n=BestOfN(N, 1.5, REWARD))


@pytest.fixture(scope="module")
def app(chooser: Candidate) -> Iterator[FastAPI]:
    engine = Engine(chooser.model)
    yield make_app(Service(chooser, engine), TOKEN)
    engine.close()


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[Any]:
    with asking(app) as client:
        yield client


def create(client: Any, question: str = "a bee?", **more: Any) -> Any:
    messages = [{"role": "user", "content": question}]
    fields = {"model": "tiny", "messages": messages, "max_tokens": TOKENS, "seed": 3} | more
    return client.chat.completions.create(**fields)


def drawn(chooser: Candidate, temperature: float, answer: int = 0) -> list[str]:
    """The texts that an answer is chosen from, each written alone."""
    generator = BatchedGenerator(chooser.model)
    prompt = tuple(
        chooser.renderer.conversation(chooser.prompt, [{"role": "user", "content": "a bee?"}])
    )
    asked = [
        Request(prompt, TOKENS, temperature, seed=3, sample=answer * N + number)
        for number in range(N)
    ]
    return [generator.write(each).text for each in asked]


def best(texts: list[str]) -> str:
    counts = [sum(text.strip().count(v) for v in "aeiou") for text in texts]
    return texts[counts.index(max(counts))]


@pytest.mark.parametrize(
    ("given", "at"), [({}, 1.5), ({"temperature": 0}, 1.5), ({"temperature": 0.7}, 0.7)]
)
def test_the_answer_is_the_one_that_the_reward_likes_best(
    client: Any, chooser: Candidate, given: dict[str, Any], at: float
) -> None:
    texts = drawn(chooser, at)
    whole = create(client, **given)
    assert whole.choices[0].message.content == best(texts)
    assert len(set(texts)) > 2 and best(texts) != texts[0]
    assert whole.usage.completion_tokens >= sum(map(len, texts))  # of all draws
    talk = Chat(chooser, BatchedGenerator(chooser.model), TOKENS, given.get("temperature", 0), 3)
    assert talk.answer("a bee?") == best(texts).strip()


def test_each_of_several_answers_is_chosen_from_draws_of_its_own(
    client: Any, chooser: Candidate
) -> None:
    found = [each.message.content for each in create(client, n=3).choices]
    assert found == [best(drawn(chooser, 1.5, number)) for number in range(3)]


def test_a_stream_is_held_back_until_the_answer_is_chosen(client: Any, chooser: Candidate) -> None:
    chunks = list(create(client, stream=True, stream_options={"include_usage": True}))
    pieces = [
        c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content
    ]
    assert pieces == [best(drawn(chooser, 1.5))]  # in one piece
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.completion_tokens == create(client).usage.completion_tokens


def test_the_reward_sees_what_was_asked(client: Any) -> None:
    REWARD.seen.clear()
    create(client, "why?")
    turns = [("user", "a"), ("assistant", "b"), ("user", "c?")]
    create(client, messages=[{"role": role, "content": text} for role, text in turns])
    one, several = REWARD.seen[0].case, REWARD.seen[-1].case
    assert one.prompt == "why?" and one.messages == () and one.correct_answers == ()
    assert several.prompt == "a\n\nb\n\nc?" and several.messages == tuple(turns)
    assert len(REWARD.seen) == 2 * N


def test_raw_completions_are_the_policys_own(client: Any, chooser: Candidate) -> None:
    REWARD.seen.clear()
    found = client.completions.create(
        model="tiny", prompt="a bee", max_tokens=TOKENS, temperature=1.5, seed=3, logprobs=1
    )
    tokens = tuple(chooser.model.encode("a bee"))
    asked = Request(tokens, TOKENS, 1.5, seed=3)
    assert found.choices[0].text == BatchedGenerator(chooser.model).write(asked).text
    assert REWARD.seen == [] and found.choices[0].logprobs.token_logprobs


def test_a_reward_that_fails_is_said_without_what_was_written(
    client: Any, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(answers: Sequence[Answered]) -> list[Score]:
        raise ValueError(f"secret {answers[0].answer}")

    here = app.state.service
    served = here.candidate
    here.candidate = replace(served, best_of_n=BestOfN(N, 1.5, fails))
    try:
        with (
            caplog.at_level(logging.ERROR),
            pytest.raises(openai.InternalServerError, match="could not be chosen"),
        ):
            create(client)
        with pytest.raises(openai.APIError, match="could not be chosen"):
            list(create(client, stream=True))
    finally:
        here.candidate = served
    assert "reward failed (ValueError)" in caplog.text and "secret" not in caplog.text


def test_many_who_ask_at_once_are_all_answered(client: Any, chooser: Candidate) -> None:
    """20 askers of 3 answers from 5 draws are 300 texts: more than wait, were draws counted."""
    expected = [best(drawn(chooser, 1.5, number)) for number in range(3)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: create(client, n=3), range(20)))
    assert [[c.message.content for c in each.choices] for each in found] == [expected] * 20


def test_an_answer_waits_as_one_however_many_draws_it_takes(chooser: Candidate) -> None:
    go, ended = threading.Event(), threading.Semaphore(0)

    def hear(finish: str | None) -> None:
        go.wait(LONG)
        if finish:
            ended.release()

    engine = Engine(chooser.model, places=8, queue=2)
    asked = [Request((5, 6), 30, 3.0, seed=number) for number in range(16)]
    try:
        engine.submit(asked, [hear] * 16, 16)
        until(lambda: engine.load == (1, 0))
        for _ in range(2):
            engine.submit(asked, [hear] * 16, 16)
        assert engine.load == (1, 2)
        with pytest.raises(Busy):
            engine.submit(asked, [hear] * 16, 16)
        go.set()
        assert all(ended.acquire(timeout=LONG) for _ in range(48))
    finally:
        go.set()
        engine.close()
