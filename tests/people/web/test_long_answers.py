"""Answers of the greatest length, in characters that forms write with the most bytes."""

from __future__ import annotations

import secrets

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from people_work import fill, someone
from truing.data.messages import MAX_TEXT
from truing.people import Store
from truing.people.annotators import sign_in_lead
from truing.people.tables import Demonstration, Draft
from truing.people.web import make_app
from truing.people.web.security import csrf_token


@pytest.mark.parametrize("character", ["x", "é", "\N{HIGH VOLTAGE SIGN}", "\N{HONEYBEE}"])
def test_an_answer_of_any_characters_is_taken(sqlite_store: Store, character: str) -> None:
    with sqlite_store.writing() as session:
        sign_in_lead(session, "lead-token")
    ada = someone(sqlite_store, "Ada")
    fill(sqlite_store, ["demonstration"])
    cookies = {"truing-label-0": ada.cookie}
    client = TestClient(make_app(sqlite_store), base_url="http://127.0.0.1", cookies=cookies)
    client.get("/work")
    text = character * MAX_TEXT
    sent = {"csrf": csrf_token(ada.cookie), "submission": secrets.token_hex(16), "text": text}
    sent["kind"] = "demonstration"
    script = {"Accept": "application/json"}
    assert client.post("/assignments/1/draft", data=sent, headers=script).status_code == 204
    with sqlite_store.reading() as session:
        same = session.scalars(select(Draft)).one().fields["text"] == text
    assert same  # a comparison in the assertion would show a million characters
    answer = client.post("/assignments/1/judgement", data=sent, headers=script)
    assert answer.status_code == 200
    with sqlite_store.reading() as session:
        same = session.scalars(select(Demonstration.text)).one() == text
    assert same
