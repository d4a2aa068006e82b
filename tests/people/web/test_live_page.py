"""Trainings that wait for people, on the lead's page."""

from __future__ import annotations

from fastapi.testclient import TestClient

from people_work import someone, work
from truing.people import Store
from truing.people.live.batches import Batch, LiveSettings, PostedAnswer
from truing.people.live.queue import LiveQueue
from truing.people.web import make_app

HOSTILE = "run<script>alert(1)</script>/rl-seed0"


def test_queue_and_curve_are_on_the_leads_page(sqlite_store: Store) -> None:
    lead, ada = someone(sqlite_store, "Lea", role="lead"), someone(sqlite_store, "Ada")
    app = make_app(sqlite_store)
    page = TestClient(app, base_url="http://127.0.0.1")
    page.cookies.set(app.state.site.cookie, lead.cookie)
    assert "Trainings that wait" not in page.get("/lead").text
    queue = LiveQueue(sqlite_store, LiveSettings("k", HOSTILE, "comparison", 2, 1, 16))
    queue.begin()
    for step in (1, 2):
        answers = [PostedAnswer(0, f"{n}{step}", True, [n], [-1.0], [-1.0]) for n in range(2)]
        queue.post(Batch(step, [[{"role": "user", "content": "Why?"}]], answers))
        ids = work(sqlite_store, ada)
        queue.decide(step, "people", ids, 1)
        counted = {"by": "people", "changed": 0, "stale": 0, "open": 1, "judgements": len(ids)}
        queue.note(step, {**counted, "reward": step / 4, "late_steps": step / 2})
        shown = page.get("/lead")
        assert shown.status_code == 200
    text = shown.text
    assert "<script>alert" not in text and "run&lt;script&gt;" in text
    assert "2 of 4" in text and 'points="0.0,96.0 480.0,0.0"' in text
    assert "mean reward of 2 steps, 0.25 to 0.50, last 0.50" in text and "<td>1.0</td>" in text
