"""A real adviser behind a dialogue's page: its store on disk is used from the server's own threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from parties import Party, honest_quotes
from people_work import someone
from study_people import Clock, Robot, browser, forms, page_of, planned
from tiny import saved
from truing.data.oversight.plans import ANSWERS, Plan
from truing.files import read_jsonl
from truing.oversight.replying import replying
from truing.oversight.respondents import opened
from truing.people import Store
from truing.progress import SilentProgress
from truing.recipes.oversight import report_study


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return planned(tmp_path / "study", people=1, rounds=4, arms=("dialogue",))


def asked(store: Store, plan: Plan, reply: object) -> Robot:
    """A participant who has asked the adviser once."""
    robot = Robot(browser(page_of(store, plan, Clock(), reply), someone(store, "Ada")))  # type: ignore[arg-type]
    robot.open()
    robot.act()
    robot.act()
    form = forms(robot.page)["question"]
    robot._set(robot.client.post(form.action, data={**form.fields, "text": "Who built it?"}))
    return robot


def test_a_local_adviser_answers_on_the_page(
    sqlite_store: Store, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    model = saved(tmp_path / "model", 4096)
    with opened(str(model), SilentProgress()) as adviser:
        robot = asked(sqlite_store, plan, replying(plan, adviser))
        assert "You asked" in robot.page and "could not answer" not in robot.page
        robot.act()
    assert list((tmp_path / "cache").glob("answers.sqlite*"))
    robot.client.close()


def test_an_adviser_that_fails_is_said_and_recorded(
    sqlite_store: Store, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(prompt: str) -> str:
        raise OSError("the model's file is gone")

    robot = asked(sqlite_store, plan, replying(plan, Party(broken)))
    assert "The adviser could not answer just now" in robot.page
    assert "file is gone" in caplog.text and "file is gone" not in robot.page
    while not robot.is_finished:
        robot.act()
    turns = [turn for row in read_jsonl(plan.folder / ANSWERS) for turn in row["turns"]]
    assert [turn["answered"] for turn in turns] == [False]
    _, document = report_study(plan.folder)
    assert document["unanswered_questions"] == 1
    page = (plan.folder / "report.html").read_text("utf-8")
    assert "Questions to the adviser to which it answered nothing: 1." in page


def test_an_adviser_that_answers_is_not_counted(sqlite_store: Store, plan: Plan) -> None:
    robot = asked(sqlite_store, plan, replying(plan, Party(honest_quotes)))
    while not robot.is_finished:
        robot.act()
    assert report_study(plan.folder)[1]["unanswered_questions"] == 0
