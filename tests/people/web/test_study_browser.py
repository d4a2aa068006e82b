"""A study in a real browser, on a phone: readable, reachable by keys, and counted by the server's clock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browsing import LOW_CONTRAST, OVERFLOWING, TOO_SMALL, UNNAMED, new_page, serious
from page_server import running
from people_work import someone
from study_people import Clock, page_of, planned
from truing.data.oversight import read_trial_answers
from truing.data.oversight.plans import ANSWERS
from truing.people import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def check(page: Page) -> None:
    for fault in (OVERFLOWING, UNNAMED, TOO_SMALL, LOW_CONTRAST):
        assert page.evaluate(fault) == [], page.url
    assert serious(page) == []


@pytest.mark.parametrize("scheme", ["light"])
def test_a_participant_on_a_phone(
    browser: Browser, sqlite_store: Store, tmp_path: Path, scheme: str
) -> None:
    plan = planned(tmp_path / "study", people=4, rounds=1)
    ada, lea = someone(sqlite_store, "Ada"), someone(sqlite_store, "Lea", role="lead")
    with running(page_of(sqlite_store, plan, Clock())) as url:
        page, complaints = new_page(browser, "phone", scheme)
        page.goto(f"{url}/?token={ada.token}")
        page.wait_for_url(f"{url}/")
        check(page)
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Show the first question").press("Enter")
        for number, trial in enumerate(plan.of("P1")):
            for step in ("after",) if trial.arm == "unaided" else ("before", "after"):
                page.wait_for_selector(f"input[name=step][value={step}]", state="attached")
                assert f"Question {number + 1} of 4" in page.inner_text("main")
                assert page.inner_text("#timer").endswith("left")
                check(page)
                page.locator("input[name=letter]").first.focus()
                page.keyboard.press("ArrowRight")  # B
                page.keyboard.press("Tab")
                page.keyboard.type("77")
                with page.expect_navigation():
                    page.locator("form:has([name=step]) button.main").press("Enter")
        page.wait_for_url(f"{url}/")
        assert "Your score is" in page.inner_text("main")
        check(page)
        page.goto(f"{url}/?token={lea.token}")
        page.wait_for_url(f"{url}/lead")
        check(page)
        assert complaints == []
        page.context.close()
    rows = read_trial_answers(plan.folder / ANSWERS, plan)
    assert [(row.answer_after, row.confidence_after) for row in rows] == [("B", 77)] * 4
