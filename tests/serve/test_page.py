"""The pilot's page as a server: who gets in, what a user may judge, what is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from starlette.testclient import TestClient

from pilot_server import TOKEN, candidate
from truing.people import Store
from truing.people.tables import Comparison, Judgement, Prompt, Rating
from truing.people.web.security import HEADERS, RateLimit, csrf_token
from truing.serve.app import make_app
from truing.serve.engine import Engine
from truing.serve.page import visit_token
from truing.serve.service import Service

BASE = "http://127.0.0.1"
COOKIE = "truing-serve-0"
WREN, ROBIN = "page-aaaaaaaaaaaaaaaa", "page-bbbbbbbbbbbbbbbb"
VISIT = visit_token(TOKEN)
POSTS = ("/page/answers", "/page/thumbs", "/page/picks")


@pytest.fixture()
def app(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[FastAPI]:
    monkeypatch.setattr("truing.serve.answering.randbits", lambda bits: 0)  # no answer is empty
    served = candidate()
    engine = Engine(served.model)
    app = make_app(Service(served, engine, sqlite_store), TOKEN)
    app.state.gate.requests = RateLimit(1e9, 1e9)
    yield app
    engine.close()


@pytest.fixture()
def web(app: FastAPI) -> TestClient:
    headers = {"X-CSRF": csrf_token(TOKEN)}
    return TestClient(app, base_url=BASE, cookies={COOKIE: VISIT}, headers=headers)


def ask(web: TestClient, *, user: str = WREN, **more: Any) -> tuple[list[str], list[str]]:
    """The answers to a question and the receipts of what was kept."""
    body = {"user": user, "messages": [{"role": "user", "content": "a bee?"}], "compare": False,
            "consent": True} | more  # fmt: skip
    answer = web.post("/page/answers", json=body)
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.split("\n\n") if line.startswith("data: {")]
    documents = [json.loads(line.removeprefix("data: ")) for line in lines]
    texts = ["", ""]
    for document in documents[:-1]:
        for choice in document["choices"]:
            texts[choice["index"]] += choice["delta"].get("content", "")
    return texts, documents[-1]["kept"]


def judge(web: TestClient, path: str, number: int, **fields: Any) -> int:
    body = {"user": WREN, "submission": f"{number:016x}"} | fields
    return web.post(f"/page/{path}", json=body).status_code


def count(store: Store, table: Any = Judgement) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_the_link_signs_in_and_is_then_a_cookie(app: FastAPI) -> None:
    client = TestClient(app, base_url=BASE)
    stranger = client.get("/", headers={"Accept": "text/html"})
    assert stranger.status_code == 401 and "Open the link" in stranger.text
    assert client.get("/?token=wrong").status_code == 401
    first = client.get(f"/?token={TOKEN}")
    cookie = first.headers["set-cookie"]
    assert (
        f"{COOKIE}={VISIT}" in cookie
        and TOKEN not in cookie
        and "HttpOnly" in cookie
        and "SameSite=strict" in cookie
    )
    assert 'content="0;url=/"' in first.text and TOKEN not in first.text
    page = client.get("/")
    assert page.status_code == 200 and "Talk to tiny" in page.text and TOKEN not in page.text
    for each in (stranger, first, page, client.get("/static/chat.js"), client.get("/static/no")):
        assert all(each.headers[name] == value for name, value in HEADERS.items())
    assert "<style" not in page.text and not re.search(r"\s(style|on\w+)=", page.text)
    assert re.findall(r"<script(?![^>]*src=)", page.text) == []


def test_nothing_is_taken_without_the_cookie_and_the_pages_secret(
    app: FastAPI, sqlite_store: Store
) -> None:
    good = csrf_token(TOKEN)
    for path in POSTS:
        for cookie, secret, status in (("", good, 401), (VISIT, "", 403), (VISIT, "x" * 64, 403),
                                       ("wrong", good, 401), (TOKEN, good, 401)):  # fmt: skip
            client = TestClient(app, base_url=BASE, cookies={COOKIE: cookie} if cookie else {})
            answer = client.post(path, json={}, headers={"X-CSRF": secret})
            assert answer.status_code == status, (path, cookie, secret)
        # The key alone, as a program has it, is not the page's cookie.
        client = TestClient(app, base_url=BASE, headers={"Authorization": f"Bearer {TOKEN}"})
        assert client.post(path, json={}, headers={"X-CSRF": good}).status_code == 401
    assert count(sqlite_store, Prompt) == 0


def test_answers_are_kept_and_judged_by_who_asked(web: TestClient, sqlite_store: Store) -> None:
    _, none = ask(web, consent=False)
    assert none == [] and count(sqlite_store, Prompt) == 0
    texts, (receipt,) = ask(web)
    assert texts[0] and count(sqlite_store, Prompt) == 1
    assert judge(web, "thumbs", 1, answer=receipt, thumb="up") == 204
    assert judge(web, "thumbs", 1, answer=receipt, thumb="up") == 204  # sent twice, kept once
    assert judge(web, "thumbs", 2, answer=receipt, thumb="down") == 204
    assert count(sqlite_store, Rating) == 2
    number, signature = receipt.split(".")
    for forged in ("", "1", receipt[:-1], f"{int(number) + 1}.{signature}", f"{number}.é", "x.y"):
        assert judge(web, "thumbs", 3, answer=forged, thumb="up") == 404
    assert judge(web, "thumbs", 3, answer=receipt, thumb="up", user=ROBIN) == 404
    assert judge(web, "thumbs", 3, answer=receipt, thumb="sideways") == 400
    assert judge(web, "thumbs", 3, answer=receipt, thumb="up", user="me@bird.org") == 400
    assert count(sqlite_store) == 2


def test_the_better_of_two_answers_is_kept(web: TestClient, sqlite_store: Store) -> None:
    (one, two), receipts = ask(web, compare=True)
    assert one and two and one != two and len(receipts) == 2
    first, second = receipts
    assert judge(web, "picks", 1, first=first, second=second, preferred="second") == 204
    assert judge(web, "picks", 2, first=first, second=first, preferred="first") == 404
    with sqlite_store.reading() as session:
        (row,) = session.scalars(select(Comparison))
        better = row.first_id if row.preferred == "first" else row.second_id
        assert better == int(second.split(".")[0])


def test_without_a_store_nothing_is_kept_or_judged(app: FastAPI, web: TestClient) -> None:
    app.state.service.store = None
    assert 'id="consent"' not in web.get("/").text
    assert ask(web)[1] == []
    assert judge(web, "thumbs", 1, answer="1.x", thumb="up") == 404


def test_a_store_that_has_gone_is_said(web: TestClient, sqlite_store: Store) -> None:
    _, (receipt,) = ask(web)
    with sqlite_store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE completions RENAME TO elsewhere")
    assert judge(web, "thumbs", 1, answer=receipt, thumb="up") == 503
    assert ask(web)[1] == []  # an answer comes all the same
