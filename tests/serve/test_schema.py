"""Requests of all shapes, from the server's own description: none ends in a server error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from pilot_server import TOKEN, candidate
from truing.people import Store
from truing.people.web.security import RateLimit, csrf_token
from truing.serve.app import make_app
from truing.serve.engine import Engine
from truing.serve.page import visit_token
from truing.serve.service import Service

BASE = "http://127.0.0.1"


def test_schemathesis_finds_no_server_error(sqlite_store: Store) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    served = candidate()
    engine = Engine(served.model)
    app = make_app(Service(served, engine, sqlite_store), TOKEN)
    app.state.gate.requests = RateLimit(1e9, 1e9)
    schema = schemathesis.openapi.from_dict(app.openapi())
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 10
    statuses: set[int] = set()
    for operation in operations:

        @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def call(case: Any) -> None:
            if isinstance(case.body, dict):
                case.body |= {"model": "tiny"} if "model" in case.body else {}
                case.body["user"] = "page-aaaaaaaaaaaaaaaa"
            headers = {"Authorization": f"Bearer {TOKEN}", "X-CSRF": csrf_token(TOKEN)}
            cookies = {"truing-serve-0": visit_token(TOKEN)}
            response = case.call(app=app, base_url=BASE, headers=headers, cookies=cookies)
            statuses.add(response.status_code)
            assert response.status_code < 500, (case.formatted_path, case.body)

        call()
    assert {200, 400, 404} <= statuses
    engine.close()
