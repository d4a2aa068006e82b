"""The page in a real browser: nothing overflows, nothing is fetched, nothing complains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browsing import serious
from report_browsing import CUT_OFF, OVERFLOWING, TOO_SMALL
from synthetic_run import write_run
from truing.recipes.report import build_report, metrics_of
from truing.report.answered import AnswerTable
from truing.report.answers import answer_table, by_seed, terms_of
from truing.runs.folder import RunFolder
from waiting import LONG

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

OPENED = """() => { document.querySelectorAll('.given tbody tr:nth-child(n + 4)').forEach(e => e.remove());
  document.querySelectorAll('details').forEach(e => { e.open = true; }); }"""
"""All lies open, of the answers three cases: axe looks long at each."""


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(write_run(tmp_path_factory.mktemp("browser") / "run"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_in_a_browser(browser: Any, page_path: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_path.as_uri(), wait_until="load")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == []
    scales = page.evaluate(TOO_SMALL)
    assert len(scales) == 4 and min(scales) > 0.8  # each figure once, at a legible size
    assert page.evaluate(CUT_OFF) == []
    assert [url for url in requests if not url.startswith("data:")] == [page_path.as_uri()]
    assert complaints == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_axe(browser: Any, tmp_path: Path, scheme: str) -> None:
    run = write_run(tmp_path / "run", held_out=6, controls=3, seeds=(0,), resamples=100)
    context = browser.new_context(viewport={"width": 390, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(build_report(run).as_uri(), wait_until="load")
    page.evaluate(OPENED)
    assert serious(page) == []
    context.close()


def test_print_shows_everything_on_paper_width(browser: Any, page_path: Path) -> None:
    page = browser.new_page(viewport={"width": 690, "height": 980})
    page.emulate_media(media="print")
    page.goto(page_path.as_uri(), wait_until="load")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 690
    assert page.evaluate(OVERFLOWING) == []
    assert not page.locator(".filters").is_visible()
    folded = page.locator("details pre").last
    assert folded.bounding_box()["height"] > 100  # the spec, though folded on the screen
    assert not page.locator("nav").is_visible()
    page.close()


COUNT = "document.querySelector('[data-count]').textContent.split(' ').slice(0, 3).join(' ')"
SHOWN = "[...document.querySelectorAll('.given tbody tr')].filter(e => e.checkVisibility())"


def answers_of(page_path: Path) -> AnswerTable:
    run = RunFolder.open(page_path.parent)
    rows = run.rows()
    terms = terms_of(metrics_of(run))
    return answer_table(by_seed(rows), run.candidates(rows), terms, run.questions())


def test_answers_are_searched_filtered_and_sorted(browser: Any, page_path: Path) -> None:
    table = answers_of(page_path)
    base, sft = table.columns.index("base"), table.columns.index("sft")
    assert table.answers > 2000
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * LONG)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(page_path.as_uri(), wait_until="load")
    assert page.evaluate(COUNT) == f"{len(table.cases)} of {len(table.cases)}"
    assert page.evaluate(f"{SHOWN}.length") == 25

    words = page.get_by_label("Search")
    for case in table.cases[::60]:
        words.fill(f"{case.prompt.upper()} {case.answers[0].text or ''}")
        assert page.evaluate(f"{SHOWN}[0].querySelector('summary').textContent") == case.prompt
        assert page.evaluate(f"{SHOWN}[0].querySelector('details').open")
    page.get_by_role("button", name="Clear").click()
    assert page.evaluate(f"{SHOWN}.filter(e => e.querySelector('details').open).length") == 0

    def count(**filters: str) -> int:
        for name, value in filters.items():
            page.get_by_label(name, exact=True).select_option(value)
        found = int(page.evaluate(COUNT).split()[0])
        page.get_by_role("button", name="Clear").click()
        return found

    gained = [c for c in table.cases if (c.verdicts[base], c.verdicts[sft]) == ("bad", "good")]
    lost = [c for c in table.cases if (c.verdicts[base], c.verdicts[sft]) == ("good", "bad")]
    assert count(**{"Answered by": "sft", "Outcome": "gained"}) == len(gained) > 0
    assert count(**{"Answered by": "sft", "Outcome": "lost"}) == len(lost) > 0
    good = [c for c in table.cases if c.verdicts[sft] == "good"]
    assert count(**{"Answered by": "sft", "Outcome": "+"}) == len(good)
    law = [c for c in table.cases if c.category == "Law"]
    assert count(Category="Law") == len(law) > 0
    rules = [c for c in table.cases if c.evaluation == "Rules"]
    assert count(Evaluation="Rules") == len(rules) > 0
    page.get_by_label("Only where outcomes differ").check()
    differing = [c for c in table.cases if len(set(c.verdicts) - {None, "none"}) > 1]
    assert page.evaluate(COUNT) == f"{len(differing)} of {len(table.cases)}"

    page.get_by_role("button", name="Clear").click()
    head = page.locator(".given thead th").first
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    least = min(case.prompt for case in table.cases)
    assert page.evaluate(f"{SHOWN}[0].querySelector('summary').textContent") == least
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    page.locator(".given thead th").nth(3).get_by_role("button").click()  # by base's outcome
    assert head.get_attribute("aria-sort") is None
    assert page.evaluate(f"{SHOWN}[0].cells[3].textContent").startswith("✗")
    assert complaints == []
    page.close()


def test_cards_come_by_pointer_and_by_keyboard(browser: Any, page_path: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(1000 * LONG)
    page.goto(page_path.as_uri(), wait_until="load")
    card = page.get_by_role("tooltip")
    question = page.locator(".given tbody summary").first
    question.hover()
    assert card.inner_text().startswith(question.inner_text()) and "base: " in card.inner_text()
    page.keyboard.press("Escape")
    assert not card.is_visible()
    question.focus()
    assert card.is_visible() and question.get_attribute("aria-describedby") == "card"
    marks = page.locator("#categories .wide [data-card]")
    marks.first.focus()
    assert card.inner_text().split() == marks.first.get_attribute("aria-label").split()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == marks.nth(
        1
    ).get_attribute("aria-label")
    figure = page.locator(".compare .value").nth(1)
    figure.hover()
    assert "to base" in card.inner_text() and "noise" in card.inner_text()
    assert page.locator("main [title]").count() == 0
    page.close()


def test_without_a_script_everything_is_there(browser: Any, page_path: Path) -> None:
    table = answers_of(page_path)
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(page_path.as_uri(), wait_until="load")
    assert not page.locator(".filters").is_visible()
    page.locator(".explore > summary").click()
    rows = page.locator(".given tbody > tr")
    assert rows.count() == len(table.cases) and rows.last.is_visible()
    assert page.evaluate(f"{SHOWN}.length") == len(table.cases)
    rows.nth(2).locator("summary").click()
    assert rows.nth(2).locator("q").first.is_visible()
    assert page.locator("#comparison [title]").count() > 0
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    context.close()
