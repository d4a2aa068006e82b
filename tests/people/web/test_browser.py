"""People's work in a real browser, on a desk and on a phone: everything by keys, nothing lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from browsing import LOW_CONTRAST, OVERFLOWING, SIZES, TOO_SMALL, UNNAMED
from label_site import Site, judged, open_page
from people_pages import WRITING, answer_by_keys
from people_work import fill
from truing.people.answers import shown_completions
from truing.people.content import add_prompt, add_task
from truing.people.exchange import export_file
from truing.people.planning.withholding import withhold
from truing.people.questions.asking import answers_in_store, ask_questions
from truing.people.questions.sets import Question, QuestionSet
from truing.people.serving import fill_with_demo
from truing.people.tables import Annotator, Draft, Judgement
from truing.people.vocabulary import ABOUT_ANSWERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route


def ask_own_questions(site: Site) -> None:
    """From now on the lead gets nothing but a set of questions."""
    grades = ("not at all", "a little", "very")
    asked = QuestionSet(
        "tone", (Question("warm", "How warm is the answer?", grades, optional=True),)
    )
    with site.store.writing() as session:
        ask_questions(session, asked, answers_in_store(session))
        withhold(session, site.lead.id, ABOUT_ANSWERS)


@pytest.mark.parametrize("size", SIZES)
def test_from_the_demo_to_ten_judgements_exported(
    browser: Browser, site: Site, tmp_path: Path, size: str
) -> None:
    fill_with_demo(site.store)
    page, complaints = open_page(browser, site, size, "dark" if size == "phone" else "light")
    page.click("text=Go on working")
    kinds: set[str] = set()
    for _ in range(10):
        page.wait_for_selector("#judgement")
        kind = page.get_attribute("#judgement", "data-kind") or ""
        if kind not in kinds:
            assert page.evaluate(OVERFLOWING) == []
            assert page.evaluate(UNNAMED) == []
            assert page.evaluate(TOO_SMALL) == []
            assert page.evaluate(LOW_CONTRAST) == []
        kinds.add(kind)
        answer_by_keys(page, kind)
    ask_own_questions(site)
    for path in (
        "/", "/work", "/lead", "/lead/plan", "/lead/import", "/lead/search?q=a", "/lead/people",
        "/lead/guidelines", "/lead/tasks/1", "/guidelines",
    ):  # fmt: skip
        page.goto(f"{site.url}{path}")
        assert page.evaluate(OVERFLOWING) == [], path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate(LOW_CONTRAST) == [], path
    assert complaints == []
    page.context.close()
    assert len(judged(site)) == 10 and len(kinds) >= 3
    forms = {"messages": "demonstration", "ratings": "rating", "annotations": "annotation"}
    for form, kind in forms.items():
        made = sum(each.kind == kind for each in judged(site))
        assert export_file(site.store, tmp_path / f"{form}.jsonl", form) == made


def test_keys_undo_skip_and_drafts(browser: Browser, site: Site) -> None:
    fill(site.store, ["rating"], prompts=2)
    page, _ = open_page(browser, site, "desk")
    page.goto(f"{site.url}/work")
    first = page.url
    answer_by_keys(page, "rating")
    assert page.url != first
    (row,) = judged(site)
    with site.store.reading() as session:
        kept = session.get_one(Judgement, row.id)
        assert kept.rating and kept.rating.value == 6
        assert {f.name: f.value for f in kept.flags} == {
            "true": "yes",
            "harmful": "no",
            "follows": "yes",
        }
    with page.expect_navigation():
        page.keyboard.press("u")
    assert page.url == first
    assert page.is_checked("input[name=value][value='6']")  # filled in as it was
    page.keyboard.press("2")
    page.get_by_text("Draft saved", exact=True).wait_for()
    page.reload()
    assert page.is_checked("input[name=value][value='2']")
    page.keyboard.press("s")
    page.keyboard.press("Tab")
    page.select_option("select[name=reason]", "expertise")
    page.click("details.skip button")
    page.wait_for_url(lambda url: url != first)
    assert [each.kind for each in judged(site)] == ["rating", "withdrawal", "skip"]

    page.uncheck("#keys")  # WCAG 2.1.4: single keys can be turned off
    page.locator("h1").click()
    page.keyboard.press("7")
    assert page.locator("input[name=value]:checked").count() == 0
    page.reload()
    assert not page.is_checked("#keys")
    page.context.close()


@pytest.mark.parametrize("size", SIZES)
def test_answers_are_dragged_into_order(browser: Browser, site: Site, size: str) -> None:
    fill(site.store, ["ranking"])
    page, complaints = open_page(browser, site, size)
    page.goto(f"{site.url}/work")
    with site.store.reading() as session:
        lead = session.scalars(select(Annotator).where(Annotator.role == "lead")).one()
    last, first = page.locator(".ranked").last, page.locator(".ranked").first
    bottom = page.locator(".handle").last.bounding_box()
    top = first.bounding_box()
    assert bottom and top
    page.mouse.move(bottom["x"] + 5, bottom["y"] + 5)
    page.mouse.down()
    page.mouse.move(bottom["x"] + 5, (bottom["y"] + top["y"]) / 2, steps=6)
    page.mouse.move(bottom["x"] + 5, top["y"] + 3, steps=6)
    page.mouse.up()
    assert page.locator(".ranked").first.get_attribute("data-place") == "2"
    assert [s.input_value() for s in page.locator(".ranked select").all()] == ["1", "2", "3"]
    page.select_option("select[name=rank-0]", "3")  # a tie, by hand
    page.select_option("select[name=rank-1]", "3")
    with page.expect_navigation():
        page.click("#send")
    (row,) = judged(site)
    with site.store.reading() as session:
        kept = session.get_one(Judgement, row.id)
        shown = shown_completions(kept.assignment)
        assert {r.completion_id: r.rank for r in kept.rankings} == {
            shown[2].id: 1, shown[0].id: 2, shown[1].id: 2
        }  # fmt: skip
        assert kept.annotator_id == lead.id
    assert last.count() == 0 and complaints == []
    page.context.close()


def test_scripts_in_texts_do_not_run(browser: Browser, site: Site) -> None:
    evil = (
        "<script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>x</a>"
    )
    with site.store.writing() as session:
        messages = [{"role": "user", "content": evil}]
        prompt = add_prompt(session, messages, source=evil, consent="own")
        add_task(session, "demonstration", prompt)
    page, complaints = open_page(browser, site, "desk")
    page.goto(f"{site.url}/work")
    page.fill("textarea[name=text]", evil)
    with page.expect_navigation():
        page.click("#send")
    for path in ("/", "/lead", "/lead/tasks/1", "/assignments/1"):
        page.goto(f"{site.url}{path}")
        assert page.locator("main img, main script, main a[href^=javascript]").count() == 0
    assert complaints == []
    page.context.close()


def test_a_store_that_goes_away_loses_nothing_typed(browser: Browser, site: Site) -> None:
    fill(site.store, ["demonstration"])
    page, _ = open_page(browser, site, "desk")
    page.goto(f"{site.url}/work")
    page.wait_for_selector(WRITING)
    page.keyboard.type("Half an answer, ")
    with site.store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE judgements RENAME TO elsewhere")
    page.keyboard.type("then the rest.")
    page.click("#send")
    page.wait_for_selector("#saved.trouble")
    assert "can't be reached" in page.inner_text("#saved")
    assert page.input_value("textarea[name=text]") == "Half an answer, then the rest."
    with site.store.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO judgements")
    page.reload()  # even now: it is kept in the browser
    assert page.input_value("textarea[name=text]") == "Half an answer, then the rest."
    with page.expect_navigation():
        page.click("#send")
    (row,) = judged(site)
    with site.store.reading() as session:
        kept = session.get_one(Judgement, row.id).demonstration
        assert kept and kept.text == "Half an answer, then the rest."
        assert session.scalar(select(func.count()).select_from(Draft)) == 0
    page.context.close()


@pytest.mark.parametrize("size", SIZES)
def test_a_server_that_goes_away_loses_nothing_typed(
    browser: Browser, site: Site, size: str
) -> None:
    fill(site.store, ["demonstration"])
    page, _ = open_page(browser, site, size)
    page.goto(f"{site.url}/work")
    page.wait_for_selector(WRITING)
    page.route("**/assignments/**", lambda route: route.abort("connectionrefused"))
    page.keyboard.type("All of this.")
    page.click("#send")
    page.wait_for_selector("#saved.trouble")
    assert "doesn't answer" in page.inner_text("#saved")
    assert "What you typed is kept" in page.inner_text("#saved")
    assert page.input_value("textarea[name=text]") == "All of this."
    page.unroute("**/assignments/**")
    with page.expect_navigation():
        page.click("#send")
    (row,) = judged(site)
    with site.store.reading() as session:
        kept = session.get_one(Judgement, row.id).demonstration
        assert kept and kept.text == "All of this."
    page.context.close()


def test_an_answer_that_is_lost_is_asked_for_again_and_counts_once(
    browser: Browser, site: Site
) -> None:
    """The server keeps the judgement, and the connection breaks before it can say so."""
    fill(site.store, ["demonstration"])
    page, _ = open_page(browser, site, "desk")
    page.goto(f"{site.url}/work")
    page.wait_for_selector(WRITING)
    page.keyboard.type("Said once.")
    sent = []

    def lose_the_first(route: Route) -> None:
        sent.append(route.request.post_data)
        if len(sent) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/judgement", lose_the_first)
    with page.expect_navigation():
        page.click("#send")
    assert len(sent) == 2 and sent[0] == sent[1]
    (row,) = judged(site)
    assert row.kind == "demonstration"
    page.context.close()


def test_without_a_script_the_form_works(browser: Browser, site: Site) -> None:
    fill(site.store, ["comparison"])
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/?token={site.lead.token}")
    page.wait_for_url(f"{site.url}/")  # the page that signs in moves on by itself
    page.goto(f"{site.url}/work")
    page.check("input[value=tie]")
    page.click("#send")
    page.wait_for_url(f"{site.url}/")
    (row,) = judged(site)
    assert row.kind == "comparison" and row.seconds is None
    page.click("text=Undo")
    page.wait_for_url("**/assignments/1")
    assert page.is_checked("input[value=tie]")
    context.close()
