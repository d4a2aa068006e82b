"""The completions API: given text scored token by token, and continued."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

from pilot_server import TOKEN, candidate
from tiny import plain
from tiny import texts as tokens_of
from truing.models.engine import long_rows
from truing.people.web.security import RateLimit
from truing.serve import completions, scoring
from truing.serve.app import make_app
from truing.serve.engine import Engine
from truing.serve.service import Service

SERVED = candidate()
TEXTS = ["a bee sees", "a bee sees the sun", "a bee", "who?", "a bee sees the moon.", "a"]


@pytest.fixture(scope="module")
def web() -> Iterator[TestClient]:
    engine = Engine(SERVED.model)
    app = make_app(Service(SERVED, engine), TOKEN)
    app.state.gate.requests = RateLimit(1e9, 1e9)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client
    engine.close()


def complete(web: TestClient, prompt: Any, **more: Any) -> Any:
    answer = web.post("/v1/completions", json={"model": "tiny", "prompt": prompt} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def expected(text: str) -> list[list[float]]:
    """Log-probabilities (T - 1, V) of each next token, by `transformers` alone."""
    tokens = torch.tensor([SERVED.model.encode(text)])
    with torch.inference_mode():
        return plain("llama")(input_ids=tokens).logits[0, :-1].log_softmax(-1).tolist()


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:2], ["who?"], ["a bee", "a bee"]])
def test_given_texts_are_scored_as_transformers_scores_them(
    web: TestClient, texts: list[str]
) -> None:
    found = complete(web, texts, echo=True, max_tokens=0, logprobs=2)
    assert [c["index"] for c in found["choices"]] == list(range(len(texts)))
    for text, choice in zip(texts, found["choices"], strict=True):
        assert choice["text"] == text
        scores = choice["logprobs"]
        assert scores["tokens"] == list(text)
        assert scores["text_offset"] == list(range(len(text)))
        assert scores["token_logprobs"][0] is None and scores["top_logprobs"][0] is None
        tokens, rows = SERVED.model.encode(text), expected(text)
        right = [row[token] for row, token in zip(rows, tokens[1:], strict=True)]
        assert scores["token_logprobs"][1:] == pytest.approx(right, abs=1e-5)
        for row, listed, value in zip(rows, scores["top_logprobs"][1:], right, strict=True):
            best = sorted(row)[-2:]
            assert max(listed.values()) == pytest.approx(best[1], abs=1e-5)
            assert any(abs(each - value) < 1e-5 for each in listed.values())
            assert 1 <= len(listed) <= 3
    total = sum(map(len, texts))
    assert found["usage"]["prompt_tokens"] == total and found["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize("ends", [False, True])
def test_requests_of_an_evaluation_harness_have_their_text_and_one_token_more(
    web: TestClient, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # lm-evaluation-harness sums all scores but those of the context and the last, whatever that is.
    rows = [SERVED.model.encode(text) for text in TEXTS if len(SERVED.model.encode(text)) > 1]
    scores = [expected(SERVED.model.decode(row)) for row in rows]
    if ends:  # the first text is followed by the end of the answer
        [first] = complete(web, rows[:1], max_tokens=1, temperature=0, logprobs=1)["choices"]
        [token] = SERVED.model.encode(first["text"])
        monkeypatch.setattr(type(SERVED.model), "end_tokens", frozenset({token}))
    asked = {"temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
    answer = complete(web, rows, **asked)
    assert answer["usage"]["prompt_tokens"] == sum(map(len, rows))
    assert answer["usage"]["completion_tokens"] == len(rows)
    for row, wanted, choice in zip(rows, scores, answer["choices"], strict=True):
        listed = choice["logprobs"]["token_logprobs"]
        top = choice["logprobs"]["top_logprobs"]
        assert len(listed) == len(top) == len(row) + 1 and listed[0] is None
        given = [values[token] for values, token in zip(wanted, row[1:], strict=True)]
        assert listed[1:-1] == pytest.approx(given, abs=1e-5)
        greedy = [
            value == max(best.values()) for value, best in zip(listed[1:], top[1:], strict=True)
        ]
        assert greedy[:-1] == [
            value == max(values) for value, values in zip(given, wanted, strict=True)
        ]
        assert greedy[-1]  # temperature 0


def test_text_is_continued_and_the_continuation_scored(web: TestClient) -> None:
    (choice,) = complete(web, "a bee", max_tokens=8, temperature=0, logprobs=1)["choices"]
    tokens, text = SERVED.model.encode("a bee"), choice["text"]
    rows = expected("a bee" + text)[len(tokens) - 1 :]
    listed = choice["logprobs"]["token_logprobs"]
    assert listed[: len(rows)] == pytest.approx([max(row) for row in rows], abs=1e-5)
    echoed = complete(web, tokens, max_tokens=8, temperature=0, echo=True)["choices"][0]
    assert echoed["text"] == "a bee" + text and echoed["logprobs"] is None
    two = complete(web, [tokens, tokens], max_tokens=8, seed=1, temperature=1.5)["choices"]
    assert two[0]["text"] == two[1]["text"]  # one seed, one prompt
    stopped = complete(web, "a bee", max_tokens=8, temperature=0, stop=text[2:4])["choices"][0]
    assert stopped["text"] == text[: text.index(text[2:4])]
    assert stopped["finish_reason"] == "stop"
    assert len(complete(web, "a bee")["choices"][0]["text"]) <= 16


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": ""}, "empty"),
        ({"prompt": []}, "give 1 to 64"),
        ({"prompt": [[]]}, "empty"),
        ({"prompt": ["a"] * 65}, "give 1 to 64"),
        ({"prompt": [999]}, "prompt[0]: no such token"),
        ({"prompt": "a" * 120}, "context holds 1 to 128"),
        ({"max_tokens": 0}, "nothing to answer without echo"),
        ({"logprobs": 6}, "less than or equal to 5"),
        ({"stream": True}, "stream: not supported here"),
    ],
)
def test_what_cannot_be_done_is_refused(
    web: TestClient, fields: dict[str, Any], words: str
) -> None:
    answer = web.post("/v1/completions", json={"model": "tiny", "prompt": "a"} | fields)
    assert answer.status_code == 400 and words in answer.json()["error"]["message"], answer.text


def test_other_programs_are_refused(web: TestClient) -> None:
    assert web.post("/v1/completions", json={"model": "gpt", "prompt": "a"}).status_code == 404
    nobody = {"Authorization": "Bearer wrong"}
    assert web.post("/v1/completions", json={}, headers=nobody).status_code == 401


# --- Long texts -------------------------------------------------------------------------------


def test_a_long_text_is_scored_in_pieces(web: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a bee sees the sun. " * 5, "why?", "a bee sees the moon. " * 4]
    whole = complete(web, texts, echo=True, max_tokens=0, logprobs=2)["choices"]
    monkeypatch.setattr(scoring, "PACK_TOKENS", 20)
    monkeypatch.setattr(long_rows, "PIECE", 16)
    pieces = complete(web, texts, echo=True, max_tokens=0, logprobs=2)["choices"]
    for one, other in zip(whole, pieces, strict=True):
        first, second = one.pop("logprobs"), other.pop("logprobs")
        assert one == other and first["tokens"] == second["tokens"]
        assert second["token_logprobs"][1:] == pytest.approx(first["token_logprobs"][1:], abs=1e-4)
        for left, right in zip(first["top_logprobs"][1:], second["top_logprobs"][1:], strict=True):
            assert right == pytest.approx(left, abs=1e-4)


def test_what_there_is_no_memory_to_score_is_refused(
    web: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = scoring.scoring_bytes(SERVED.model, [100, 5], 5)
    asked = {"model": "tiny", "prompt": ["a" * 100, "a bee"], "logprobs": 5, "max_tokens": 0}
    monkeypatch.setattr(completions, "available_bytes", lambda device: needed)
    assert web.post("/v1/completions", json=asked | {"echo": True}).status_code == 200
    monkeypatch.setattr(completions, "available_bytes", lambda device: needed - 1)
    answer = web.post("/v1/completions", json=asked | {"echo": True})
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["param"] == "prompt"
    assert "scoring 105 tokens, 100 of them in one text, takes up to" in error["message"]
    assert complete(web, "a bee", max_tokens=2)["choices"]  # which isn't scored


@pytest.mark.parametrize("alternatives", [0, 5])
def test_the_memory_of_a_scored_token_is_bounded(alternatives: int) -> None:
    rows = tokens_of(4, [100] * 20)
    count = sum(map(len, rows))
    tracemalloc.start()
    scored = scoring.score_texts(SERVED.model, rows, alternatives)
    documents = [scoring.log_probs_json(SERVED.model, row) for row in scored]
    answer = JSONResponse(documents)
    held = tracemalloc.get_traced_memory()[0] + len(answer.body)  # rendered as text, then as bytes
    tracemalloc.stop()
    bound = count * (scoring.TOKEN_BYTES + alternatives * scoring.ALTERNATIVE_BYTES)
    assert bound / 3 < held < bound


def test_scoring_ends_when_nobody_waits_any_more() -> None:
    looked: list[int] = []

    def gone() -> bool:
        looked.append(1)
        return len(looked) > 2

    rows = tokens_of(4, [10, 10, 10, 10])
    with pytest.raises(scoring.GivenUp):
        scoring.score_texts(SERVED.model, rows, 1, gone)
    assert len(looked) == 3
