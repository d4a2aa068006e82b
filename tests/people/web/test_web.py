"""The labelling page as a server: who may do what, what it shows, and what it says when it can't."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from people_clients import BASE, COOKIE, form, visit
from people_work import Someone, fill, someone, work
from truing.data.messages import MAX_TEXT
from truing.people import Store
from truing.people.annotators import sign_in_lead
from truing.people.assigning import next_assignment
from truing.people.content import add_prompt, add_task
from truing.people.sign_ins import sign_in
from truing.people.tables import Draft, Gold, Judgement
from truing.people.vocabulary import KINDS
from truing.people.web import make_app
from truing.people.web.security import HEADERS, MAX_BODY, RateLimit, csrf_token


@pytest.fixture()
def app(sqlite_store: Store) -> FastAPI:
    return make_app(sqlite_store)


@pytest.fixture()
def lead(sqlite_store: Store) -> Someone:
    with sqlite_store.writing() as session:
        id_ = sign_in_lead(session, "lead-token").id
        return Someone(id_, "lead", "lead-token", sign_in(session, id_))


@pytest.fixture()
def ada(sqlite_store: Store, lead: Someone) -> Someone:
    return someone(sqlite_store, "Ada")


def count(store: Store, table: Any = Judgement) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def post_routes(app: FastAPI) -> list[str]:
    paths = app.openapi()["paths"]
    return sorted(path for path, methods in paths.items() if "post" in methods)


def test_a_link_signs_in_and_is_then_a_cookie(app: FastAPI, ada: Someone) -> None:
    client = visit(app, None)
    assert client.get("/").status_code == 401
    first = client.get(f"/work?token={ada.token}")
    assert first.status_code == 200
    cookie = first.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=") and ada.token not in cookie
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/" in cookie
    assert 'content="0;url=/work"' in first.text and ada.token not in first.text
    home = client.get("/")
    assert home.status_code == 200 and "Hello, Ada" in home.text and ada.token not in home.text
    assert client.get("/?token=wrong").status_code == 401


def test_every_answer_carries_the_headers(app: FastAPI, ada: Someone) -> None:
    client = visit(app, ada)
    too_large = client.post("/me/groups", content=b"x" * (MAX_BODY + 1))
    answers = [client.get(path) for path in ("/", "/nothing", "/static/label.js")]
    answers += [visit(app, None).get("/"), too_large]
    assert [each.status_code for each in answers] == [200, 404, 200, 401, 413]
    for each in answers:
        assert all(each.headers[name] == value for name, value in HEADERS.items())
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    pages = answers[0].text
    assert "<style" not in pages and " style=" not in pages and not re.search(r"\son\w+=", pages)
    assert re.findall(r"<script(?![^>]*src=)", pages) == []


def test_no_form_is_taken_without_its_secret_or_by_strangers(
    app: FastAPI, sqlite_store: Store, ada: Someone, lead: Someone
) -> None:
    fill(sqlite_store)
    routes = post_routes(app)
    assert len(routes) == 14
    bob = someone(sqlite_store, "Bob")
    for route in routes:
        path = re.sub(r"\{\w+\}", "1", route)
        for person in (ada, lead):
            client = visit(app, person)
            for csrf in ("", "x", csrf_token(bob.cookie)):
                assert client.post(path, data={"csrf": csrf}).status_code == 403, path
        assert visit(app, None).post(path, data={"csrf": "x"}).status_code == 401
    assert count(sqlite_store) == 0


def test_only_the_lead_sees_the_leads_pages(app: FastAPI, ada: Someone, lead: Someone) -> None:
    client = visit(app, ada)
    for path, methods in app.openapi()["paths"].items():
        if path.startswith("/lead"):
            path = re.sub(r"\{\w+\}", "1", path)
            for method in methods:
                data = form(ada) if method == "post" else None
                assert client.request(method, path, data=data).status_code == 403, path
    assert visit(app, lead).get("/lead").status_code == 200


def test_an_annotator_cannot_reach_anothers_work(
    app: FastAPI, sqlite_store: Store, ada: Someone
) -> None:
    fill(sqlite_store, ["rating"])
    bob = someone(sqlite_store, "Bob")
    (judgement,) = work(sqlite_store, bob)
    client = visit(app, ada)
    assert client.get("/assignments/1").status_code == 404
    for path in ("/assignments/1/judgement", "/assignments/1/skip", "/assignments/1/draft",
                 f"/judgements/{judgement}/undo"):  # fmt: skip
        sent = client.post(path, data=form(ada, kind="rating", value=1, reason="unclear"))
        assert sent.status_code == 404, path
    assert count(sqlite_store) == 1
    assert visit(app, bob).get("/assignments/1").status_code == 200


def test_other_hosts_origins_and_sizes_are_refused(app: FastAPI, ada: Someone) -> None:
    client = visit(app, ada)
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:9"}).status_code == 200
    assert client.get("/", headers={"Host": "[::1]:9"}).status_code == 200
    sent = client.post("/me/groups", data=form(ada), headers={"Origin": "http://evil.example"})
    assert sent.status_code == 403
    assert client.post("/me/groups", data=form(ada), headers={"Origin": BASE}).status_code == 303

    def chunks() -> Iterator[bytes]:
        yield b"csrf="
        for _ in range(20):
            yield b"x" * 100_000

    encoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/me/groups", content=chunks(), headers=encoded).status_code == 413
    many = {f"field-{number}": "" for number in range(100)}
    assert client.post("/me/groups", data={**form(ada), **many}).status_code == 400
    file = {"value-0": ("x.txt", b"x")}
    assert client.post("/me/groups", data=form(ada), files=file).status_code in (400, 422)


def test_guessing_and_hammering_are_slowed(app: FastAPI, ada: Someone) -> None:
    stranger = visit(app, None)
    answers = [stranger.get("/?token=guess").status_code for _ in range(25)]
    assert answers[:20] == [401] * 20 and answers[20:] == [429] * 5
    site = app.state.site
    site.failures = RateLimit(1.0, 20)
    site.requests = RateLimit(0.001, 3)
    client = visit(app, ada)
    assert [client.get("/").status_code for _ in range(5)] == [200] * 3 + [429] * 2
    assert client.get("/").headers["Retry-After"] == "5"


INJECTION = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'></textarea>{{ 7 * 7 }}"


def test_nothing_of_what_one_says_of_oneself_is_lost(app: FastAPI, ada: Someone) -> None:
    client = visit(app, ada)

    def say(*rows: tuple[str, str]) -> Any:
        names = ("dimension", "value")
        fields = {
            f"{name}-{row}": said
            for row, both in enumerate(rows)
            for name, said in zip(names, both, strict=True)
        }
        return client.post("/me/groups", data=form(ada, **fields))

    kept = say(("", ""), ("First  language", "Māori"))
    assert "Saved." in client.get(kept.headers["location"]).text
    for rows, why in (
        ((("region", "north"), ("Region ", "south")), "stands there twice"),
        ((("region", "north"), ("", "nurse")), "&#39;nurse&#39; stands alone"),
        ((("region", "north"), ("age", " ")), "&#39;age&#39; stands alone"),
    ):
        refused = say(*rows)
        assert refused.status_code == 422 and why in refused.text, refused.text
        assert 'value="north"' in refused.text  # what was typed is still there
        assert "Māori" in client.get("/").text  # and what was kept before


def test_the_team_never_has_less_than_one_of_it(
    app: FastAPI, sqlite_store: Store, ada: Someone
) -> None:
    fill(sqlite_store, ["rating"])
    client = visit(app, ada)
    assert "judged 0. The team has 0" in client.get("/").text
    work(sqlite_store, ada)
    own = count(sqlite_store)
    assert own and f"judged {own}. The team has {own}" in client.get("/").text


def test_what_people_write_is_shown_as_text(
    app: FastAPI, sqlite_store: Store, lead: Someone
) -> None:
    with sqlite_store.writing() as session:
        prompt = add_prompt(
            session, [{"role": "user", "content": INJECTION}], source=INJECTION, consent="own"
        )
        add_task(session, "demonstration", prompt)
    eve = someone(sqlite_store, INJECTION[:80])
    client, chief = visit(app, eve), visit(app, lead)
    client.post(
        "/me/groups", data=form(eve, **{"dimension-0": INJECTION[:70], "value-0": INJECTION[:70]})
    )
    assert client.get("/work").headers["location"] == "/assignments/1"
    client.post("/assignments/1/draft", data=form(eve, text=INJECTION, note=INJECTION))
    pages = [client.get("/assignments/1").text]
    client.post("/assignments/1/judgement", data=form(eve, kind="demonstration", text=INJECTION))
    chief.post("/lead/guidelines", data=form(lead, kind="rating", text=INJECTION))
    pages += [client.get(path).text for path in ("/", "/guidelines")]
    pages += [
        chief.get(path).text
        for path in ("/lead", "/lead/people", "/lead/tasks/1", "/lead/guidelines")
    ]
    for text in pages:
        assert "<script>alert" not in text and "<img src=x" not in text
    assert sum("&lt;script&gt;alert(1)" in text for text in pages) >= 6
    assert "{{ 7 * 7 }}" in pages[0]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_work_is_saved_and_can_be_undone(
    app: FastAPI, sqlite_store: Store, ada: Someone, kind: str
) -> None:
    fill(sqlite_store, [kind])
    client = visit(app, ada)
    said = {
        "demonstration": {"text": "First line\r\nsecond"},
        "rating": {"value": 5, "harmful": "no"},
        "comparison": {"preferred": "tie"},
        "ranking": {"rank-0": 1, "rank-1": 2, "rank-2": 2},
        "annotation": {"use_case": "other", "ambiguous": "yes"},
        "outcome": {"outcome": "gibberish"},
        "opinion": {"choice": 2},
        "questions": {"tone.warm": 3},
    }[kind]
    page = client.get(client.get("/work").headers["location"])
    assert page.status_code == 200
    for candidate in (
        "good ",
        "fair ",
        "poor ",
    ):  # answers are shown, their candidates are not named
        assert f">{candidate.strip()}<" not in page.text
    sent = form(ada, kind=kind, seconds="3.5", note="Hm.", **said)
    first = client.post("/assignments/1/judgement", data=sent)
    assert (first.status_code, first.headers["location"]) == (303, "/work")
    again = client.post(
        "/assignments/1/judgement", data=sent, headers={"Accept": "application/json"}
    )
    assert (again.status_code, again.json()) == (200, {"next": "/work"})
    assert count(sqlite_store) == 1
    other = client.post("/assignments/1/judgement", data=form(ada, kind=kind, **said))
    assert other.status_code == 409
    with sqlite_store.reading() as session:
        row = session.scalars(select(Judgement)).one()
        assert row.note == "Hm." and row.seconds is not None
        if row.demonstration:
            assert row.demonstration.text == "First line\nsecond"
    assert "You have judged this" in client.get("/assignments/1").text
    undone = client.post("/judgements/1/undo", data=form(ada))
    assert undone.headers["location"] == "/assignments/1"
    again_page = client.get("/assignments/1").text
    assert {"demonstration": "second</textarea>", "ranking": "<option selected>2"}.get(
        kind, " checked"
    ) in again_page


def test_mistakes_are_told_and_lose_nothing(
    app: FastAPI, sqlite_store: Store, ada: Someone
) -> None:
    fill(sqlite_store, ["demonstration"])
    client = visit(app, ada)
    client.get("/work")
    long = form(ada, kind="demonstration", text="x" * (MAX_TEXT + 1))
    sent = client.post(
        "/assignments/1/judgement", data=long, headers={"Accept": "application/json"}
    )
    assert sent.status_code == 422 and "at most 100,000" in sent.json()["problem"]
    plain = client.post("/assignments/1/judgement", data=form(ada, kind="rating", text="Typed <b>"))
    assert plain.status_code == 422 and "Typed &lt;b&gt;" in plain.text
    for path in (
        "/assignments/999999999999999999",
        "/assignments/0",
        "/assignments/x",
        "/lead/tasks/9",
    ):
        assert client.get(path).status_code in (403, 404, 422)
    twice = f"csrf={csrf_token(ada.cookie)}&csrf=x"
    encoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/me/groups", content=twice, headers=encoded).status_code == 422


def test_a_store_that_goes_away_is_told_and_the_text_kept(
    app: FastAPI, sqlite_store: Store, ada: Someone, caplog: pytest.LogCaptureFixture
) -> None:
    fill(sqlite_store, ["demonstration"])
    client = visit(app, ada)
    client.get("/work")
    with sqlite_store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE judgements RENAME TO elsewhere")
    sent = form(ada, kind="demonstration", text="My long answer")
    with caplog.at_level(logging.DEBUG):
        plain = client.post("/assignments/1/judgement", data=sent)
        script = client.post(
            "/assignments/1/judgement", data=sent, headers={"Accept": "application/json"}
        )
    assert plain.status_code == script.status_code == 503
    assert "My long answer" in plain.text and "can't be reached" in script.json()["problem"]
    written = caplog.text
    assert "can't be used: OperationalError" in written
    assert ada.token not in written and "My long answer" not in written
    with sqlite_store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO judgements")
    assert client.post("/assignments/1/judgement", data=sent).status_code == 303


def test_drafts_are_kept_until_the_judgement(
    app: FastAPI, sqlite_store: Store, ada: Someone
) -> None:
    fill(sqlite_store, ["annotation"])
    client = visit(app, ada)
    client.get("/work")
    suggested = client.get("/assignments/1").text
    assert 'value="open_qa" checked' in suggested
    sent = form(ada, use_case="chat", note="So far", evil="x")
    assert client.post("/assignments/1/draft", data=sent).status_code == 204
    with sqlite_store.reading() as session:
        assert session.get_one(Draft, 1).fields == {"use_case": "chat", "note": "So far"}
    assert 'value="chat" checked' in client.get("/assignments/1").text
    client.post("/assignments/1/judgement", data=form(ada, kind="annotation", use_case="extract"))
    assert count(sqlite_store, Draft) == 0
    assert client.post("/assignments/1/draft", data=sent).status_code == 409


def test_the_lead_adds_people_renews_links_and_sets_gold(
    app: FastAPI, sqlite_store: Store, lead: Someone
) -> None:
    fill(sqlite_store, ["comparison"], wanted=3)
    chief = visit(app, lead)
    added = chief.post("/lead/people", data=form(lead, name="  Grace   Hopper "))
    link = re.search(r'value="(http://127\.0\.0\.1/\?token=[\w-]+)"', added.text)
    assert link and "Grace Hopper" in added.text
    grace = visit(app, None)
    assert grace.get(link[1]).status_code == 200 and grace.get("/").status_code == 200
    assert chief.post("/lead/people", data=form(lead, name="Grace Hopper")).status_code == 422
    renewed = chief.post("/lead/people/2/link", data=form(lead))
    assert renewed.status_code == 200 and link[1] not in renewed.text
    assert grace.get("/").status_code == 401
    assert chief.post("/lead/people/1/link", data=form(lead)).status_code == 404  # the lead's own

    (judgement,) = work(sqlite_store, someone(sqlite_store, "Ada"))
    assert chief.post("/lead/tasks/1/gold", data=form(lead, judgement=99)).status_code == 404
    assert chief.post("/lead/tasks/1/gold", data=form(lead, judgement="x")).status_code == 422
    assert chief.post("/lead/tasks/1/gold", data=form(lead, judgement=judgement)).status_code == 303
    assert count(sqlite_store, Gold) == 1
    assert "gold question" in chief.get("/lead/tasks/1").text
    chief.post("/lead/tasks/1/gold", data=form(lead, judgement=""))
    assert count(sqlite_store, Gold) == 0
    assert chief.get("/lead/confusion").status_code == 200


def test_the_lead_reads_why_something_was_skipped(
    app: FastAPI, sqlite_store: Store, lead: Someone, ada: Someone
) -> None:
    fill(sqlite_store, ["rating"])
    client = visit(app, ada)
    client.get("/work")
    refused = client.post("/assignments/1/skip", data=form(ada, reason=""))
    assert refused.status_code == 422 and "Reason: choose one" in refused.text
    sent = form(ada, reason="other", note="Too much <b>chemistry</b>.")
    assert client.post("/assignments/1/skip", data=sent).headers["location"] == "/work"
    text = visit(app, lead).get("/lead").text
    assert "Another reason" in text and "Too much &lt;b&gt;chemistry" in text
    assert "/lead/tasks/1" in text


def test_the_leads_pages_say_what_was_judged(
    app: FastAPI, sqlite_store: Store, lead: Someone
) -> None:
    fill(sqlite_store, prompts=2, wanted=2)
    chief = visit(app, lead)
    assert "Nobody has judged anything yet" in chief.get("/lead").text
    for name in ("Ada", "Bob"):
        work(sqlite_store, someone(sqlite_store, name))
    app.state.site.cache.clear()  # an overview that took long is shown for a while
    text = chief.get("/lead").text
    for words in ("Ada", "Bob", "4 of 4", "Rating, 1 to 7", "Use case"):
        assert words in text
    assert "They agree in 100 %" in chief.get("/lead/confusion?question=rating&annotator=2").text
    assert chief.get("/lead/confusion?annotator=77&question=nothing").status_code == 200


def test_schemathesis_finds_no_server_error(
    app: FastAPI, sqlite_store: Store, lead: Someone
) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    fill(sqlite_store, prompts=3)
    work(sqlite_store, lead, most=3)
    assert next_assignment(sqlite_store, lead.id)
    app.state.site.requests = RateLimit(1e9, 1e9)
    schema = schemathesis.openapi.from_dict(app.openapi())
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == len(post_routes(app)) + 13
    statuses: set[int] = set()
    for operation in operations:

        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(), secret=st.booleans())
        def call(case: Any, secret: bool) -> None:
            if secret and isinstance(case.body, dict):
                case.body["csrf"] = csrf_token(lead.cookie)
            response = case.call(
                app=app, base_url=BASE, cookies={COOKIE: lead.cookie}, allow_redirects=False
            )
            statuses.add(response.status_code)
            assert response.status_code < 500, (case.formatted_path, case.body)

        call()
    assert {200, 303, 403, 404, 422} <= statuses
