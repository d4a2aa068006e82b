"""Two candidates behind one page: blind answers side by side, and whose were chosen."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from commands import run
from page_server import running
from people_work import someone
from pilot_server import TOKEN, candidate, halt
from tiny import tiny
from truing.candidates import Candidate, save_candidate
from truing.data.texts import Demonstration
from truing.files import read_jsonl
from truing.models.decoding import BatchedGenerator, Generation
from truing.people import Store
from truing.people.exchange import export_file
from truing.people.tables import Asking, Comparison, Completion, Prompt
from truing.people.web import make_app as make_label_app
from truing.people.web.security import RateLimit, csrf_token
from truing.prompts.rendering import Prompt as Instructions
from truing.serve import engine as engines
from truing.serve.app import make_app
from truing.serve.arena import Arena
from truing.serve.engine import Engine
from truing.serve.forms import ChatForm
from truing.serve.page import visit_token
from truing.serve.service import Service
from truing.serve.serving import DTYPE, _open
from waiting import LONG, until

WREN, ROBIN = "wren-model", "robin-model"
USER = "page-aaaaaaaaaaaaaaaa"
QUESTIONS = [f"{letter} bee?" for letter in "abcdefghijkl"]


@pytest.fixture()
def arena(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Arena]:
    # With this seed no answer to the questions is empty, and no two are the same.
    monkeypatch.setattr("truing.serve.answering.randbits", lambda bits: 0)
    both = [
        Candidate(n, 0, tiny(seed=s, chat=True), Instructions())
        for s, n in enumerate((WREN, ROBIN))
    ]
    made = [Engine(each.model, engines=2) for each in both]
    first = Service(both[0], made[0], sqlite_store)
    yield Arena(first, first.beside(both[1], made[1]), seed=3)
    for each in made:
        each.close()


@pytest.fixture()
def app(arena: Arena) -> FastAPI:
    app = make_app(arena, TOKEN)
    app.state.gate.requests = RateLimit(1e9, 1e9)
    return app


@pytest.fixture()
def url(app: FastAPI) -> Iterator[str]:
    with running(app) as address:
        yield address


@pytest.fixture()
def visitor(url: str) -> Iterator[httpx2.Client]:
    """Somebody who opened the page's link."""
    with httpx2.Client(base_url=url, timeout=LONG, headers={"X-CSRF": csrf_token(TOKEN)}) as client:
        assert client.get(f"/?token={visit_token(TOKEN)}").status_code == 200
        yield client


@pytest.fixture()
def program(url: str) -> Iterator[httpx2.Client]:
    """Somebody who holds the key."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=url, timeout=LONG, headers=headers) as client:
        yield client


def post(visitor: httpx2.Client, question: str, **more: Any) -> httpx2.Response:
    body = {"user": USER, "messages": [{"role": "user", "content": question}], "compare": True,
            "consent": True} | more  # fmt: skip
    return visitor.post("/page/answers", json=body)


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def ask(visitor: httpx2.Client, question: str, **more: Any) -> tuple[list[str], list[str]]:
    """Both answers and the receipts of what was kept."""
    *chunks, last = events(post(visitor, question, **more))
    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    return texts, last["kept"]


def owner(store: Store, receipt: str) -> str:
    with store.reading() as session:
        return session.get_one(Completion, int(receipt.split(".")[0])).candidate


def count(store: Store, table: Any) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def form(question: str, user: str = USER) -> ChatForm:
    messages = [{"role": "user", "content": question}]
    return ChatForm.model_validate({"model": "x", "messages": messages, "user": user})


def test_nothing_that_a_visitor_gets_says_whose_answers_they_are(
    visitor: httpx2.Client, sqlite_store: Store
) -> None:
    pages = [visitor.get("/"), visitor.get("/static/chat.js"), visitor.get("/health")]
    assert "Two models, without names" in pages[0].text and 'id="compare"' not in pages[0].text
    firsts = []
    for question in QUESTIONS:
        pages.append(post(visitor, question))
        one, two = events(pages[-1])[-1]["kept"]
        assert int(one.split(".")[0]) < int(two.split(".")[0])  # whoever stands on which side
        firsts.append(owner(sqlite_store, one))
        assert {firsts[-1], owner(sqlite_store, two)} == {WREN, ROBIN}
    assert 2 <= firsts.count(WREN) <= 10
    pages.append(post(visitor, "one alone?", compare=False))
    assert pages[-1].status_code == 400 and "always two" in pages[-1].text
    for each in pages:
        seen = each.text + str(each.headers)
        assert WREN not in seen and ROBIN not in seen and TOKEN not in seen


def test_the_pages_link_is_no_key(visitor: httpx2.Client, url: str) -> None:
    for key in ("wrong", visit_token(TOKEN)):
        answer = httpx2.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 401
    assert visitor.get("/v1/models").status_code == 401
    assert httpx2.get(f"{url}/?token={TOKEN}").status_code == 200  # the key opens the page as well
    assert httpx2.get(f"{url}/?token=wrong").status_code == 401
    alone = make_app(Service(candidate(), None), TOKEN)  # type: ignore[arg-type]  # not asked
    link = f"/?token={visit_token(TOKEN)}"
    assert TestClient(alone, base_url="http://127.0.0.1").get(link).status_code == 401


def test_choices_are_kept_under_the_candidates_names(
    visitor: httpx2.Client, sqlite_store: Store, tmp_path: Path
) -> None:
    for number, question in enumerate(QUESTIONS):
        texts, (first, second) = ask(visitor, question)
        assert texts[0] != texts[1]
        better = "first" if owner(sqlite_store, first) == ROBIN else "second"
        pick = {"user": USER, "first": first, "second": second, "submission": f"{number:016x}"}
        pick["preferred"] = better if number else "tie"
        assert visitor.post("/page/picks", json=pick).status_code == 204
    with sqlite_store.reading() as session:
        asked = session.scalars(select(Asking)).all()
    assert [(each.candidate, each.count) for each in asked] == [(f"{ROBIN} and {WREN}", 1)] * 12
    file = tmp_path / "results.jsonl"
    assert export_file(sqlite_store, file, "results") == 1
    (row,) = read_jsonl(file)
    assert (row["candidate"], row["against"], row["ties"]) == (ROBIN, WREN, 1)
    assert row["win_rate"] == pytest.approx(11.5 / 12) and row["low"] < row["win_rate"]
    assert (row["prompts"], row["judgements"], row["people"]) == (12, 12, 1)
    lead = someone(sqlite_store, "Lea", role="lead")
    cookies = {"truing-label-0": lead.cookie}
    site = make_label_app(sqlite_store)
    chief = TestClient(site, base_url="http://127.0.0.1", cookies=cookies)
    text = chief.get("/lead").text
    assert ROBIN in text and WREN in text and "0.96 [" in text


def test_without_consent_nothing_is_kept(visitor: httpx2.Client, sqlite_store: Store) -> None:
    assert ask(visitor, "a bee?", consent=False)[1] == []
    assert count(sqlite_store, Prompt) == count(sqlite_store, Comparison) == 0


def test_the_seed_draws_the_sides(arena: Arena) -> None:
    questions = [form(f"{word} {number}?") for number in range(100) for word in ("a", "b")]

    def firsts(seed: int) -> list[str]:
        drawn = Arena(arena.first, arena.second, seed)
        return [drawn.sides(each).a.name for each in questions]

    assert firsts(3) == firsts(3) != firsts(4)
    assert 70 <= firsts(3).count(WREN) <= 130  # within four standard deviations of half
    others = [arena.sides(form("a?", f"user {number}")).a.name for number in range(20)]
    assert set(others) == {WREN, ROBIN}


def test_programs_name_the_model_and_get_its_own_answers(
    program: httpx2.Client, arena: Arena
) -> None:
    listed = program.get("/v1/models").json()["data"]
    assert [each["id"] for each in listed] == [WREN, ROBIN]
    assert program.get(f"/v1/models/{ROBIN}").json()["id"] == ROBIN
    body = {"messages": [{"role": "user", "content": "a bee?"}], "seed": 5, "max_tokens": 12}
    texts = {}
    for side in arena.services:
        answer = program.post("/v1/chat/completions", json=body | {"model": side.name}).json()
        texts[side.name] = answer["choices"][0]["message"]["content"]
        assert answer["model"] == side.name
        alone = make_app(Service(side.candidate, side.engine), TOKEN)
        key = {"Authorization": f"Bearer {TOKEN}"}
        client = TestClient(alone, base_url="http://127.0.0.1", headers=key)
        same = client.post("/v1/chat/completions", json=body | {"model": side.name}).json()
        assert same["choices"] == answer["choices"]
        missing = client.post("/v1/chat/completions", json=body)  # one candidate has no default
        assert missing.status_code == 400 and missing.json()["error"]["param"] == "model"
    assert texts[WREN] != texts[ROBIN]
    first = program.post("/v1/chat/completions", json=body).json()
    assert first["model"] == WREN
    assert first["choices"][0]["message"]["content"] == texts[WREN]
    scored = {"prompt": "a bee", "max_tokens": 0, "echo": True, "logprobs": 0}
    scores = [
        program.post("/v1/completions", json=scored | more).json()["choices"][0]["logprobs"]
        for more in ({}, {"model": WREN}, {"model": ROBIN})
    ]
    assert scores[0] == scores[1] != scores[2]
    unknown = program.post("/v1/chat/completions", json=body | {"model": "gpt"})
    assert unknown.status_code == 404 and f"'{WREN}' and '{ROBIN}'" in unknown.text


def test_both_are_written_at_the_same_time(
    visitor: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, read = threading.Barrier(2, timeout=LONG), BatchedGenerator.read

    def reading(generator: BatchedGenerator, generation: Generation) -> None:
        together.wait()  # breaks, and ends the answer, where the other one isn't being read
        read(generator, generation)

    monkeypatch.setattr(BatchedGenerator, "read", reading)
    assert all(ask(visitor, "a bee?")[0])


@pytest.mark.parametrize("side", [0, 1])
def test_one_side_that_fails_is_said_and_nothing_is_kept(
    visitor: httpx2.Client,
    arena: Arena,
    sqlite_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    side: int,
) -> None:
    def broken(generator: BatchedGenerator, generation: Generation) -> None:
        if generator.model is arena.services[side].candidate.model:
            raise RuntimeError("a defect")
        read(generator, generation)

    read = BatchedGenerator.read
    monkeypatch.setattr(BatchedGenerator, "read", broken)
    answer = post(visitor, "a bee?")
    last = events(answer)[-1]
    assert "One of the two answers could not be finished" in last["error"]["message"]
    assert WREN not in answer.text and ROBIN not in answer.text
    assert count(sqlite_store, Prompt) == 0
    until(lambda: all(each.engine.load == (0, 0) for each in arena.services))


def test_what_is_too_long_for_one_is_refused_for_both(arena: Arena, sqlite_store: Store) -> None:
    wordy = Candidate(ROBIN, 0, arena.second.candidate.model, Instructions("be brief " * 12))
    app = make_app(Arena(arena.first, arena.first.beside(wordy, arena.second.engine)), TOKEN)
    cookies, headers = {"truing-serve-0": visit_token(TOKEN)}, {"X-CSRF": csrf_token(TOKEN)}
    client = TestClient(app, base_url="http://127.0.0.1", cookies=cookies, headers=headers)
    answer = post(client, "a bee and another bee?")
    assert answer.status_code == 400 and "too long for one of the two" in answer.text
    assert ROBIN not in answer.text and count(sqlite_store, Prompt) == 0
    until(lambda: arena.first.engine.load == (0, 0))


def test_who_leaves_gives_both_up(
    visitor: httpx2.Client, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = halt(monkeypatch, LONG)  # nobody writes on before the client has left
    monkeypatch.setattr("truing.serve.answering.DEFAULT_TOKENS", 100)
    body = {"user": USER, "messages": [{"role": "user", "content": "a?"}], "compare": True,
            "consent": False}  # fmt: skip
    with visitor.stream("POST", "/page/answers", json=body) as answer:
        assert next(answer.iter_lines())
    gone.set()
    until(lambda: all(each.engine.load == (0, 0) for each in arena.services))


def test_engines_side_by_side_divide_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "available_bytes", lambda device: 10 * engines.KEPT_BYTES)
    model = tiny()
    for number, rest in ((1, 9), (2, 4)):
        engine = Engine(model, engines=number)
        engine.close()
        assert engine._most_bytes == int(engines.SHARE * rest * engines.KEPT_BYTES)


def saved(folder: Path, base: Path, instruction: str) -> str:
    model = tiny(chat=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_candidate(
        folder, base=base, model=model, policy=None, link=False, record={}, card="",
        prompt=Instructions(instruction, (Demonstration("why?", "so."),) if instruction else ()),
    )  # fmt: skip
    return str(folder)


def test_equal_weights_are_held_once_and_equal_names_told_apart(tmp_path: Path) -> None:
    bases = []
    for seed in (0, 1):
        bases.append(tmp_path / f"weights{seed}")
        tiny(seed=seed, chat=True).model.save_pretrained(bases[-1])
        tiny(chat=True).tokenizer.save_pretrained(bases[-1])
    plain = saved(tmp_path / "one" / "base", bases[0], "")
    prompt = saved(tmp_path / "one" / "prompt", bases[0], "be brief")
    other = saved(tmp_path / "two" / "base", bases[1], "")
    one, two = _open([plain, prompt], DTYPE, accept_licence=False)
    assert (one.name, two.name) == ("base", "prompt") and one.model is two.model
    assert two.prompt.instruction == "be brief" and one.prompt.instruction == ""
    one, two = _open([plain, other], DTYPE, accept_licence=False)
    assert (one.name, two.name) == (plain, other) and one.model is not two.model


def test_mistakes_are_named(tmp_path: Path) -> None:
    for line, words in (
        (("a", "a"), "named twice"),
        ((tmp_path / "a", tmp_path / "b" / ".." / "a"), "named twice"),
        (("a", "--seed", 1), "--seed: draws the sides"),
    ):
        done = run("serve", *line, "--port", 0)
        assert done.exit_code == 2 and words in done.stderr, done.output
