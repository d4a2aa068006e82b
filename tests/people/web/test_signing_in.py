"""Who gets in: links, cookies that are no tokens, and strangers who lock nobody out."""

from __future__ import annotations

import datetime as dt
import re
import secrets

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from page_server import running
from people_clients import form, visit
from people_work import Someone, fill, someone, work
from truing.people import Store
from truing.people.addresses import Address, checked_public_url, checked_token
from truing.people.annotators import sign_in_lead
from truing.people.assigning import next_assignment
from truing.people.sign_ins import LASTS, sign_in
from truing.people.tables import Assignment, Judgement, SignIn, now
from truing.people.web import make_app
from truing.people.web.security import (
    BURST,
    FAILURES_BURST,
    FAILURES_PER_SECOND,
    REQUESTS_PER_SECOND,
    RateLimit,
    csrf_token,
)
from truing.types import InputError

BASE = "http://127.0.0.1"
COOKIE = "truing-label-0"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.moment = 0.0

    def __call__(self) -> float:
        return self.moment


@pytest.fixture()
def clock() -> Clock:
    return Clock()


@pytest.fixture()
def app(sqlite_store: Store, clock: Clock) -> FastAPI:
    app = make_app(sqlite_store)
    app.state.site.requests = RateLimit(REQUESTS_PER_SECOND, BURST, clock)
    app.state.site.failures = RateLimit(FAILURES_PER_SECOND, FAILURES_BURST, clock)
    return app


@pytest.fixture()
def ada(sqlite_store: Store) -> Someone:
    return someone(sqlite_store, "Ada")


def browser(app: FastAPI, cookie: str | None = None, base: str = BASE) -> TestClient:
    cookies = {COOKIE: cookie} if cookie else {}
    return TestClient(app, base_url=base, cookies=cookies, follow_redirects=False)


def draft(client: TestClient, cookie: str) -> int:
    fields = {"csrf": csrf_token(cookie), "submission": secrets.token_hex(16), "text": "So far"}
    return client.post("/assignments/1/draft", data=fields).status_code


def _stale_tab(app: FastAPI, clock: Clock) -> list[int]:
    """One that still has an ended sign-in and sends its draft every five seconds for an hour."""
    tab = browser(app, "ended")
    clock.moment += 5
    return [draft(tab, "ended")]


def _images(app: FastAPI, clock: Clock) -> list[int]:
    """A page somewhere with 24 images that are links of this server."""
    clock.moment += 5
    return [browser(app).get(f"/?token=image-{n}").status_code for n in range(24)]


def _each_second(app: FastAPI, clock: Clock) -> list[int]:
    clock.moment += 1
    return [browser(app, "guess").get("/work").status_code]


@pytest.mark.parametrize("trial", [_stale_tab, _images, _each_second])
def test_strangers_at_the_same_address_lock_nobody_out(
    app: FastAPI, sqlite_store: Store, ada: Someone, clock: Clock, trial: object
) -> None:
    assert callable(trial)
    fill(sqlite_store, ["demonstration"])
    bob = someone(sqlite_store, "Bob")
    adas, strangers = browser(app, ada.cookie), set()
    adas.get("/work")
    for _ in range(60):
        strangers |= set(trial(app, clock))
        assert adas.get("/").status_code == 200
        assert draft(adas, ada.cookie) == 204
    assert browser(app).get(f"/?token={bob.token}").status_code == 200  # for the first time
    assert strangers <= {401, 429} and 401 in strangers
    if trial is not _stale_tab:  # which comes at the very rate at which failures are forgiven
        assert 429 in strangers


def test_the_cookie_opens_nothing_as_a_token_and_ends_with_the_link(
    app: FastAPI, sqlite_store: Store, ada: Someone
) -> None:
    client = browser(app)
    cookie = client.get(f"/?token={ada.token}").cookies[COOKIE]
    assert cookie not in (ada.token, ada.cookie)
    assert browser(app).get(f"/?token={cookie}").status_code == 401
    assert browser(app, ada.token).get("/").status_code == 401
    with sqlite_store.reading() as session:
        hashes = session.scalars(select(SignIn.id_hash)).all()
    assert cookie not in hashes and len(hashes) == 2
    with sqlite_store.writing() as session:
        chief = sign_in_lead(session, "the-token-of-the-lead").id
        lead = sign_in(session, chief)
    post = {"csrf": csrf_token(lead)}
    assert browser(app, lead).post(f"/lead/people/{ada.id}/link", data=post).status_code == 200
    assert browser(app, cookie).get("/").status_code == 401
    with sqlite_store.writing() as session:
        sign_in_lead(session, "the-token-of-the-lead")  # a restart with the same token
    assert browser(app, lead).get("/lead").status_code == 200
    with sqlite_store.writing() as session:
        sign_in_lead(session, "another-token-of-the-lead")
    assert browser(app, lead).get("/lead").status_code == 401


def test_a_sign_in_ends_after_a_month(app: FastAPI, sqlite_store: Store, ada: Someone) -> None:
    assert browser(app, ada.cookie).get("/").status_code == 200
    with sqlite_store.writing() as session:
        session.execute(update(SignIn).values(created_at=now() - LASTS - dt.timedelta(minutes=1)))
    assert browser(app, ada.cookie).get("/").status_code == 401
    assert browser(app).get(f"/?token={ada.token}").status_code == 200
    with sqlite_store.reading() as session:  # the one that ran out is forgotten
        assert session.scalar(select(func.count()).select_from(SignIn)) == 1


def test_who_is_removed_is_out_and_what_they_said_stays(
    app: FastAPI, sqlite_store: Store, ada: Someone
) -> None:
    fill(sqlite_store, ["rating"], prompts=2)
    work(sqlite_store, ada, most=1)
    begun = next_assignment(sqlite_store, ada.id)
    lead = someone(sqlite_store, "Lea", role="lead")
    bob = someone(sqlite_store, "Bob")
    assert next_assignment(sqlite_store, bob.id) is None
    post = {"csrf": csrf_token(lead.cookie)}
    chief = browser(app, lead.cookie)
    assert chief.post(f"/lead/people/{ada.id}/remove", data=post).status_code == 303
    assert chief.post(f"/lead/people/{lead.id}/remove", data=post).status_code == 404
    assert browser(app, ada.cookie).get("/").status_code == 401
    assert browser(app).get(f"/?token={ada.token}").status_code == 401
    sent = form(ada, kind="rating", rating="5")  # of what she had open when it happened
    late = visit(app, ada).post(f"/assignments/{begun}/judgement", data=sent)
    assert late.status_code == 401 and "Ask the lead for a new one." in late.text
    assert ", removed" in chief.get("/lead/people").text
    with sqlite_store.reading() as session:
        assert session.scalar(select(func.count()).select_from(Judgement)) == 1
        assert session.get_one(Assignment, begun).slot is None
    assert next_assignment(sqlite_store, bob.id) is not None  # what Ada had begun
    page = chief.post(f"/lead/people/{ada.id}/link", data=post).text
    link = re.search(r'value="http://127\.0\.0\.1(/\?token=[\w-]+)"', page)
    assert link and browser(app).get(link[1]).status_code == 200


@pytest.mark.parametrize(
    ("proxy", "statuses"), [(None, {401, 429}), ("127.0.0.1", {401})], ids=["none", "named"]
)
def test_a_header_that_names_an_address_is_heard_from_a_named_proxy_alone(
    sqlite_store: Store, proxy: str | None, statuses: set[int]
) -> None:
    served = running(make_app(sqlite_store), proxy=proxy)
    with served as url, httpx2.Client(base_url=url) as client:
        answers = {
            client.get("/?token=x", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code
            for n in range(int(FAILURES_BURST) + 3)
        }
    assert answers == statuses


def test_a_public_address_is_a_name_of_the_page_and_begins_its_links(
    sqlite_store: Store, ada: Someone
) -> None:
    address = Address(0, public="https://label.example.org")
    app = make_app(sqlite_store, address=address)
    lead = someone(sqlite_store, "Lea", role="lead")
    for base, secure in ((BASE, False), ("http://label.example.org", True)):
        first = browser(app, base=base).get(f"/?token={ada.token}")
        assert first.status_code == 200 and ("Secure" in first.headers["set-cookie"]) is secure
        chief = browser(app, lead.cookie, base)
        fields = {"csrf": csrf_token(lead.cookie), "name": f"Of {secure}"}
        origin = {"Origin": "https://label.example.org"}  # also where a proxy changes the host
        page = chief.post("/lead/people", data=fields, headers=origin)
        assert page.status_code == 200
        assert 'value="https://label.example.org/?token=' in page.text and "<svg" in page.text
    assert browser(app, base="http://other.example.org").get("/").status_code == 400
    stranger = browser(app, lead.cookie).post(
        "/me/groups", data=fields, headers={"Origin": "https://other.example.org"}
    )
    assert stranger.status_code == 403


@pytest.mark.parametrize("host", ["[", "[::1", "]", "", "a b", "[::1]x", "127.0.0.1:port", "%"])
def test_hosts_and_origins_that_are_none_are_refused(app: FastAPI, host: str) -> None:
    client = browser(app)
    assert client.get("/", headers={"Host": host}).status_code in (400, 401)
    assert client.post("/me/groups", headers={"Origin": f"http://{host}"}).status_code == 403


def test_addresses() -> None:
    assert Address(8300).link("a b") == "http://127.0.0.1:8300/?token=a%20b"
    assert not Address(1).is_open and not Address(1, "::1").is_open
    anywhere = Address(8300, "0.0.0.0")
    assert anywhere.is_open and "0.0.0.0" not in anywhere.base
    assert anywhere.base.removeprefix("http://").removesuffix(":8300") in anywhere.hosts
    assert Address(8300, "::1").base == "http://[::1]:8300"
    assert Address(1, "192.0.2.7").hosts[-1] == "192.0.2.7"
    public = checked_public_url(" https://Label.example.org:8443/ ")
    assert public == "https://label.example.org:8443"
    assert "label.example.org" in Address(1, public=public).hosts
    for wrong in ("label.example.org", "ftp://x", "https://x/path", "https://", "http://[", "https://a@b",
                  "https://x:port"):  # fmt: skip
        with pytest.raises(InputError, match="--public-url"):
            checked_public_url(wrong)
    assert checked_token(None, is_open=True) is None and checked_token("short") == "short"
    with pytest.raises(InputError, match="16 characters"):
        checked_token("short", is_open=True)
