"""People's browsers on the labelling page, without a browser."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from people_work import Someone
from truing.people.web.security import csrf_token

BASE = "http://127.0.0.1"
COOKIE = "truing-label-0"


def visit(app: FastAPI, person: Someone | None) -> TestClient:
    """The browser of somebody who is signed in, or of a stranger."""
    cookies = {COOKIE: person.cookie} if person else {}
    return TestClient(app, base_url=BASE, cookies=cookies, follow_redirects=False)


def form(person: Someone, **fields: Any) -> dict[str, str]:
    """A form as our own page sends it for somebody."""
    sent = {"csrf": csrf_token(person.cookie), "submission": secrets.token_hex(16)}
    return {**sent, **{name: str(value) for name, value in fields.items()}}
