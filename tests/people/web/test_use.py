"""The labelling page for hands and eyes: taps, axe, Markdown, links to hand out, tabs left open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import segno

from browsing import OVERFLOWING, SIZES, SMALL, new_page, serious
from label_site import Site, judged, open_page
from people_pages import WRITING, answer_by_keys
from people_work import fill
from truing.people.annotators import renew_token
from truing.people.content import add_completion, add_prompt, add_task
from truing.people.erasure import erase_user
from truing.people.tables import Annotator
from truing.people.vocabulary import FLAGS, METADATA, USE_CASES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MARKDOWN = """# A title

It is **much** better, see [there](https://example.org/a), `code` and ![a picture](https://x.org/y.png).

- one
- two

| a | b |
|---|---|
| 1 | 2 |

```
a long line of code, a long line of code, a long line of code, a long line of code, a long line of it
```
"""


@pytest.mark.parametrize("size", [*SIZES, *SMALL])
def test_a_tap_on_every_choice_works(browser: Browser, site: Site, size: str) -> None:
    fill(site.store, ["rating", "comparison", "annotation"])
    page, complaints = new_page(browser, size, touch=True)
    page.goto(f"{site.url}/?token={site.lead.token}")
    page.wait_for_url(f"{site.url}/")
    taps = 0
    for _ in range(3):
        page.goto(f"{site.url}/work")
        kind = page.get_attribute("#judgement", "data-kind")
        if kind == "rating":
            words = page.locator("legend small").first
            assert words.is_visible() and "1 worst, 7 best" in words.inner_text()
        cards = page.locator("[data-choose]").all()
        for choice in [*cards, *page.locator(".choice").all()]:
            name = choice.get_attribute("data-choose")
            chosen = (
                page.locator(f"input[value={name}]") if name else choice.locator("input")
            ).first
            before = chosen.is_checked()
            # As far as needed and no further: at the edge of the screen is where things cover it.
            choice.evaluate("e => e.scrollIntoView({block: 'nearest', behavior: 'instant'})")
            box = choice.bounding_box()
            assert box
            page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            radio = chosen.get_attribute("type") == "radio"
            assert chosen.is_checked() is (radio or not before), (kind, choice.inner_text())
            taps += 1
        with page.expect_navigation():
            page.locator("#send").tap()
    assert taps == (7 + 3 * len(FLAGS)) + (2 + 3) + (len(USE_CASES) + len(METADATA))
    assert {each.kind for each in judged(site)} == {"rating", "comparison", "annotation"}
    page.wait_for_url(f"{site.url}/")
    assert page.get_by_text("You have done all there is for you").is_visible()
    assert complaints == []
    page.context.close()


@pytest.mark.parametrize("size", SIZES)
def test_axe_has_nothing_serious_to_say(browser: Browser, site: Site, size: str) -> None:
    fill(site.store)
    with site.store.writing() as session:
        long = [
            {"role": "user", "content": "Why? " * 400},
            {"role": "assistant", "content": MARKDOWN},
            {"role": "user", "content": "And?"},
        ]
        prompt = add_prompt(session, long, source="test", consent="own")
        answers = [add_completion(session, prompt, name, MARKDOWN + name) for name in "ab"]
        add_task(session, "comparison", prompt, answers)
    page, complaints = open_page(browser, site, size, "dark" if size == "phone" else "light")
    faults: dict[str, list[str]] = {}
    for _ in range(6):
        page.goto(f"{site.url}/work")
        faults[page.url] = serious(page)
        answer_by_keys(page, page.get_attribute("#judgement", "data-kind") or "")
    for path in ("/", "/guidelines", "/lead", "/lead/people", "/lead/guidelines", "/lead/confusion",
                 "/lead/tasks/1", "/lead/tasks/6", "/assignments/1", "/nothing"):  # fmt: skip
        page.goto(f"{site.url}{path}")
        faults[path] = serious(page)
    page.goto(f"{site.url}/lead/people")
    page.fill("[name=name]", "Grace")
    page.click("text=Add an annotator")
    page.wait_for_selector(".qr svg")
    faults["a new link"] = serious(page)
    assert {where: each for where, each in faults.items() if each} == {}
    assert all("404" in each for each in complaints)
    page.context.close()


def test_markdown_is_rendered_and_the_raw_text_is_a_switch_away(
    browser: Browser, site: Site
) -> None:
    with site.store.writing() as session:
        messages = [{"role": "user", "content": "*Why?*"}]
        prompt = add_prompt(session, messages, source="test", consent="own")
        answers = [add_completion(session, prompt, name, MARKDOWN + name) for name in "ab"]
        add_task(session, "comparison", prompt, answers)
    page, complaints = open_page(browser, site, "desk")
    page.goto(f"{site.url}/work")
    card = page.locator(".answer-card").first
    assert card.locator("strong").inner_text() == "much"
    assert card.locator("li").count() == 2 and card.locator("td").count() == 2
    assert not card.locator(".raw").is_visible() and card.locator("img").count() == 0
    assert page.locator(".message.user").inner_text().endswith("*Why?*")  # as people typed it
    page.get_by_label("Raw text").check()
    assert not card.locator(".markdown").is_visible()
    assert card.locator(".raw").inner_text().startswith("# A title")
    page.reload()
    assert card.locator(".raw").is_visible()  # the browser remembers
    assert complaints == []
    page.context.close()


def test_a_stale_tab_stops_asking(browser: Browser, site: Site) -> None:
    fill(site.store, ["demonstration"])
    page, _ = open_page(browser, site, "desk")
    page.clock.install()
    page.goto(f"{site.url}/work")
    page.wait_for_selector(WRITING)
    with site.store.writing() as session:
        renew_token(session, session.get_one(Annotator, site.lead.id))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.keyboard.type("So far")
    page.clock.run_for(2_000)
    page.wait_for_selector("#saved.trouble")
    assert "isn't valid" in page.inner_text("#saved") and len(sent) == 1
    page.keyboard.type(" and no further")
    page.clock.run_for(120_000)
    assert len(sent) == 1
    assert page.evaluate("Object.values({...localStorage}).join()").startswith("text=So+far+and+no")
    page.context.close()


def test_what_was_typed_a_moment_before_leaving_is_there_again(
    browser: Browser, site: Site
) -> None:
    fill(site.store, ["demonstration"])
    page, complaints = open_page(browser, site, "phone")
    page.goto(f"{site.url}/work")
    page.fill("textarea[name=text]", "Typed just now")
    task = page.url
    page.goto(f"{site.url}/guidelines")  # before any draft was saved
    page.goto(task)
    assert page.input_value("textarea[name=text]") == "Typed just now"
    page.locator("#send").dblclick(no_wait_after=True)
    page.get_by_text("You have done all there is for you").wait_for()
    assert [each.kind for each in judged(site)] == ["demonstration"]  # of two clicks
    assert page.evaluate("localStorage.length") == 0 and complaints == []
    page.context.close()


def test_a_task_that_was_kept_by_the_browser_is_asked_for_anew(
    browser: Browser, site: Site
) -> None:
    fill(site.store, ["demonstration"])
    page, _ = open_page(browser, site, "desk")
    page.goto(f"{site.url}/work")
    page.fill("textarea[name=text]", "Mine")
    # Safari keeps pages whatever their headers say; Chromium has to be told that it did.
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert page.input_value("textarea[name=text]") == "Mine"
    page.context.close()


def test_a_task_that_is_taken_away_says_so_and_loses_nothing(browser: Browser, site: Site) -> None:
    fill(site.store, ["demonstration"], user_key="gone")
    page, _ = open_page(browser, site, "phone")
    page.goto(f"{site.url}/work")
    page.fill("textarea[name=text]", "A long text")
    erase_user(site.store, "gone")
    page.locator("#send").click()
    page.get_by_text("no longer there").wait_for()
    assert "A+long+text" in page.evaluate("Object.values({...localStorage}).join()")
    page.context.close()


def test_a_link_is_copied_and_a_person_removed(browser: Browser, site: Site) -> None:
    page, complaints = open_page(browser, site, "phone")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site.url}/lead/people")
    page.fill("[name=name]", "Grace Brewster Hopper")
    page.click("text=Add an annotator")
    name = page.locator(".recent strong").bounding_box()
    assert name and name["height"] < 30  # on one line, beside nothing that squeezes it
    assert page.evaluate(OVERFLOWING) == []
    page.click("text=Copy the link")
    page.get_by_text("Copied", exact=True).wait_for()
    link = page.input_value("#link")
    assert page.evaluate("navigator.clipboard.readText()") == link
    squares = page.locator(".qr svg path").last.get_attribute("d")
    assert squares == re.findall(r' d="([^"]+)"', segno.make(link, micro=False).svg_inline())[-1]
    page.click("text=Remove")
    page.get_by_text(", removed").wait_for()
    assert page.goto(link).status == 401  # type: ignore[union-attr]
    assert all("401" in each for each in complaints)
    page.context.close()
