"""A small study of oversight, its page, and participants who fill in its forms as a browser does."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from parties import Party, honest_quotes, mills
from people_work import Someone
from truing.data.oversight.plans import Arm, Plan, Speech, Trial
from truing.oversight.planning import StudySpec, write_plan
from truing.people import Store
from truing.people.study.trials import Study
from truing.people.web.security import RateLimit
from truing.people.web.study import make_study_app
from truing.progress import SilentProgress

BASE = "http://127.0.0.1"
COOKIE = "truing-label-0"
ARMS: tuple[Arm, ...] = ("unaided", "passage", "consultancy", "debate")
START = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


class Clock:
    """The server's clock, which stands still unless it is put on."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> dt.datetime:
        return self.time

    def on(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)


def planned(folder: Path, people: int = 2, rounds: int = 2, arms: tuple[Arm, ...] = ARMS) -> Plan:
    """A plan about mills, one passage an item, with advice that quotes honestly or makes it up."""
    spec = StudySpec(people=people, rounds=rounds, arms=arms, time_limit=180)
    items = mills(len(spec.of_people) * rounds)
    return write_plan(spec, items, folder, Party(honest_quotes), SilentProgress())


def page_of(
    store: Store, plan: Plan, clock: Clock, reply: Callable[..., Speech] | None = None
) -> FastAPI:
    """The study's page; robots aren't held back by the rate that people have."""
    app = make_study_app(store, Study(plan, reply, clock))
    app.state.site.requests = RateLimit(1e9, 1e9)
    return app


def browser(app: FastAPI, person: Someone | None) -> TestClient:
    """A browser without scripts in which somebody is signed in."""
    cookies = {COOKIE: person.cookie} if person else {}
    return TestClient(app, base_url=BASE, cookies=cookies)


@dataclass
class Form:
    """A form of a page: where it goes, and what its hidden fields send."""

    action: str
    fields: dict[str, str]


def forms(page: str) -> dict[str, Form]:
    """The forms of a page, by the last word of where they go."""
    made = {}
    for action, inner in re.findall(
        r'<form method="post" action="([^"]+)"[^>]*>(.*?)</form>', page, re.S
    ):
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', inner)
        made[action.rpartition("/")[2]] = Form(action, {k: html.unescape(v) for k, v in hidden})
    return made


@dataclass
class Robot:
    """A participant at a browser: `trusts` takes the adviser's side, else quotations are checked.

    Who sees the passage reads it; who has nothing to go by says A.
    """

    client: TestClient
    trusts: bool = False
    page: str = ""
    answers: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    """What is sent beside, as a browser with a wrong clock would."""

    def open(self) -> None:
        """The first page; goes on with what is under way."""
        self._set(self.client.get("/"))
        if "/trial" in re.findall(r'href="([^"]+)"', self.page):
            self._set(self.client.get("/trial"))

    def _set(self, response: Any) -> None:
        assert response.status_code == 200, response.text
        self.page = response.text

    @property
    def is_finished(self) -> bool:
        return "Your score is" in self.page

    def act(self) -> None:
        """The next thing to be done on the page: show a question, or answer it."""
        form = forms(self.page)
        if "next" in form:
            self._set(self.client.post("/next", data=form["next"].fields))
            return
        sent = form["answer"]
        letter, confidence = self._choice(sent.fields["step"])
        data = {**sent.fields, "letter": letter, "confidence": str(confidence), **self.extra}
        self._set(self.client.post(sent.action, data=data))
        self.answers += 1

    def _choice(self, step: str) -> tuple[str, int]:
        page = html.unescape(self.page)
        options = dict(
            re.findall(r'<strong>([AB])</strong> <span class="text">([^<]+)</span>', page)
        )
        if step == "before" or 'id="help"' not in page:
            return "A", 60
        for letter, option in options.items():
            if f"was built by {option}." in page:
                return letter, 99
        spoken = re.findall(r"(?:speaker|Adviser), for ([AB])</h3>", page)
        if self.trusts:
            return spoken[-1], 90
        verified = re.findall(r'class="quoted verified">was built by ([^<]+?) <', page)
        others = {"A": "B", "B": "A"}
        if verified:
            return next(each for each, option in options.items() if option == verified[0]), 95
        return others[spoken[0]], 80


def trial_of(plan: Plan, arm: str, person: str = "P1") -> Trial:
    """A person's first trial of an arm."""
    return next(trial for trial in plan.of(person) if trial.arm == arm)
