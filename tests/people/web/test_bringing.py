"""What the lead brings in by the page, seen before it is taken; and the search."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from people_clients import form, visit
from people_work import Someone, fill, someone, work
from truing.people import Store
from truing.people.searching import AROUND, search
from truing.people.tables import Judgement, Prompt, Task
from truing.people.web import make_app
from truing.people.web.bringing import MAX_FILE
from truing.people.web.security import csrf_token

LINES = b"""{"prompt": "Why is the sky <blue>?"}
{"prompt": "No key", "colour": 1}
{"prompt": "What is rain?", "completion": "Water.", "rating": 6}
"""


@pytest.fixture
def app(sqlite_store: Store) -> FastAPI:
    return make_app(sqlite_store)


@pytest.fixture
def lead(sqlite_store: Store) -> Someone:
    return someone(sqlite_store, "Lea", role="lead")


def send(
    app: FastAPI, who: Someone, content: bytes, name: str = "mine.jsonl", **fields: Any
) -> Any:
    sent = {**form(who), **fields}
    return visit(app, who).post("/lead/import", data=sent, files={"file": (name, content)})


def counted(store: Store, table: Any) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def hidden(text: str) -> dict[str, str]:
    form = text[text.index('action="/lead/import/take"') :].partition("</form>")[0]
    return dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))


def test_what_would_come_in_is_shown_and_taken_only_then(
    app: FastAPI, lead: Someone, sqlite_store: Store
) -> None:
    asked = {"ask-demonstration": "yes", "wanted": "2", "consent": "own"}
    shown = send(app, lead, LINES, "C:\\files\\mine.jsonl", **asked)
    assert shown.status_code == 200
    assert "This would come in" in shown.text and "2 prompts" in shown.text
    assert "mine.jsonl:2: " in shown.text and "colour" in shown.text and "/tmp" not in shown.text
    assert counted(sqlite_store, Prompt) == counted(sqlite_store, Judgement) == 0
    fields = hidden(shown.text)
    assert fields["csrf"] == csrf_token(lead.cookie) and set(asked) < set(fields)
    taken = visit(app, lead).post("/lead/import/take", data=fields)
    assert taken.status_code == 200 and "This came in" in taken.text
    with sqlite_store.reading() as session:
        assert set(session.execute(select(Prompt.source, Prompt.consent))) == {
            ("mine.jsonl", "own")
        }
        tasks = select(Task.wanted).where(Task.kind == "demonstration")
        assert list(session.scalars(tasks)) == [2, 2]
    again = send(app, lead, LINES, **asked)
    assert "nothing new" in again.text and "1 judgements were there already" in again.text


@pytest.mark.parametrize(
    ("content", "name", "fields", "status", "problem"),
    [
        (b"", "mine.jsonl", {}, 422, "nothing to import"),
        (b"[", "mine.json", {}, 422, "mine.json"),
        (b'{"prompt": "a", "colour": 1}', "mine.jsonl", {}, 422, "colour"),
        (LINES, "<b>.jsonl", {}, 422, "File: give it a name of letters"),
        (LINES, "mine.jsonl", {"wanted": "many"}, 422, "wanted: must be a whole number"),
        (LINES, "mine.jsonl", {"wanted": "5000"}, 422, "wanted: at least 1 and at most 1,000"),
        (LINES, "mine.jsonl", {"wanted": "0"}, 422, "wanted: at least 1"),
        (LINES, "mine.jsonl", {"consent": "maybe"}, 422, "consent: no"),
        (b" " * (MAX_FILE + 1), "mine.jsonl", {}, 422, "larger than 1,000,000 bytes"),
        (LINES, "mine.jsonl", {"csrf": "x"}, 403, "too old or not from this page"),
    ],
)
def test_what_cannot_be_taken_is_said_and_leaves_the_store(
    app: FastAPI,
    lead: Someone,
    sqlite_store: Store,
    content: bytes,
    name: str,
    fields: dict[str, str],
    status: int,
    problem: str,
) -> None:
    answer = send(app, lead, content, name, **fields)
    assert answer.status_code == status and problem in answer.text
    assert counted(sqlite_store, Prompt) == 0


def test_only_the_lead_imports_and_searches(
    app: FastAPI, lead: Someone, sqlite_store: Store
) -> None:
    ada = someone(sqlite_store, "Ada")
    assert send(app, ada, LINES).status_code == 403
    for path in ("/lead/import", "/lead/search?q=cats"):
        assert visit(app, ada).get(path).status_code == 403
    fields = {"csrf": csrf_token(ada.cookie), "name": "mine.jsonl", "content": ""}
    assert visit(app, ada).post("/lead/import/take", data=fields).status_code == 403
    for content in ("?", "é"):
        fields = {"csrf": csrf_token(lead.cookie), "name": "mine.jsonl", "content": content}
        assert visit(app, lead).post("/lead/import/take", data=fields).status_code == 422
    assert (
        visit(app, lead).post("/lead/import/take", data={**fields, "csrf": ""}).status_code == 403
    )
    assert visit(app, lead).get("/lead/import").status_code == 200


def test_words_are_looked_for_in_prompts_answers_and_judgements(
    app: FastAPI, lead: Someone, sqlite_store: Store
) -> None:
    fill(sqlite_store, ["demonstration", "rating"], about="<i>Äpfel</i>")
    work(sqlite_store, someone(sqlite_store, "Ada"))
    with sqlite_store.reading() as session:
        found = search(session, "  question 0 ABOUT <i>äpfel")
        assert [(hit.whose, hit.words) for hit in found.prompts] == [
            ("test", "Question 0 about <i>Äpfel")
        ]
        assert (found.answers, found.judgements) == ([], [])
        found = search(session, "answer")
        assert [hit.whose for hit in found.answers] == ["good", "fair", "poor"]
        assert [(hit.whose, hit.before, hit.after) for hit in found.judgements] == [
            ("Ada", "A careful ", ".")
        ]
        assert all(hit.task for hit in (*found.judgements, found.answers[0]))
        assert search(session, " ").count == search(session, "100%_.*").count == 0
    text = visit(app, lead).get("/lead/search", params={"q": "<i>äpfel"}).text
    assert "<mark>&lt;i&gt;Äpfel</mark>" in text and "<i>" not in text
    assert "nothing that people wrote" in visit(app, lead).get("/lead/search?q=zebra").text


def test_long_texts_are_cut_around_the_words(sqlite_store: Store) -> None:
    fill(sqlite_store, ["demonstration"], about="x " * 200 + "needle" + " y" * 200)
    with sqlite_store.reading() as session:
        (hit,) = search(session, "needle").prompts
    assert hit.before.startswith("… ") and hit.after.endswith(" …")
    assert len(hit.before) == len(hit.after) == AROUND + 2
