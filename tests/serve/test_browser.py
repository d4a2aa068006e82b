"""The pilot's page in a real browser, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from browsing import LOW_CONTRAST, OVERFLOWING, SIZES, TOO_SMALL, UNNAMED, new_page, serious
from page_server import running
from pilot_server import TOKEN, candidate
from tiny import tiny
from truing.candidates import Candidate
from truing.models.decoding import BatchedGenerator
from truing.people import Store
from truing.people.results import wins
from truing.people.tables import (
    Annotator,
    Asking,
    Comparison,
    Completion,
    Judgement,
    Prompt,
    Rating,
)
from truing.prompts.rendering import Prompt as Instructions
from truing.serve.app import make_app
from truing.serve.arena import Arena
from truing.serve.engine import Engine
from truing.serve.service import Service
from waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>x</a>"


@pytest.fixture()
def url(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("truing.serve.answering.DEFAULT_TOKENS", 10)  # three turns fit the context
    # With a seed that is drawn, an answer is empty now and then, and there is nothing to choose.
    monkeypatch.setattr("truing.serve.answering.randbits", lambda bits: 1)
    served = candidate()
    engine = Engine(served.model)
    with running(make_app(Service(served, engine, sqlite_store), TOKEN)) as address:
        yield address
    engine.close()


@pytest.fixture()
def blind_url(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Two candidates, wren and robin."""
    monkeypatch.setattr("truing.serve.answering.DEFAULT_TOKENS", 10)
    # With this seed no answer of the test is empty, and no two are the same.
    monkeypatch.setattr("truing.serve.answering.randbits", lambda bits: 0)
    models = [tiny(seed=seed, chat=True) for seed in (0, 1)]
    engines = [Engine(model, engines=2) for model in models]
    wren, robin = (
        Candidate(name, 0, model, Instructions())
        for name, model in zip(("wren", "robin"), models, strict=True)
    )
    first = Service(wren, engines[0], sqlite_store)
    with running(make_app(Arena(first, first.beside(robin, engines[1])), TOKEN)) as address:
        yield address
    for engine in engines:
        engine.close()


def open_page(
    browser: Browser, url: str, size: str = "desk", scheme: Any = "light"
) -> tuple[Page, list[str]]:
    page, complaints = new_page(browser, size, scheme)
    page.goto(f"{url}/?token={TOKEN}")
    page.wait_for_url(f"{url}/")  # the token is gone from the address
    page.wait_for_selector("#question:focus")
    return page, complaints


def ask(page: Page, text: str) -> None:
    """Types a question and waits for the whole answer."""
    page.focus("#question")
    page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.wait_for_selector("#send:enabled")
    page.locator(".writing").first.wait_for(state="detached")


def check(page: Page) -> None:
    for wrong in (OVERFLOWING, UNNAMED, TOO_SMALL, LOW_CONTRAST):
        assert page.evaluate(wrong) == []


def count(store: Store, table: Any) -> int:
    with store.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize("size", SIZES)
def test_a_conversation_with_thumbs_and_a_choice(
    browser: Browser, url: str, sqlite_store: Store, size: str
) -> None:
    page, complaints = open_page(browser, url, size, "dark" if size == "phone" else "light")
    check(page)
    ask(page, "a secret")
    assert page.locator(".message.bot .text").inner_text().strip()
    assert count(sqlite_store, Prompt) == 0 and page.locator(".judge").count() == 0
    page.check("#consent")
    page.click("#new")
    ask(page, "is it so?")
    page.get_by_label("Good answer").click()
    page.get_by_text("Thank you.").wait_for()
    page.get_by_label("Bad answer").click()
    page.wait_for_selector("[aria-label='Bad answer'][aria-pressed=true]")
    page.check("#compare")
    page.focus("#question")
    ask(page, "and so?")
    check(page)
    page.focus("#question")
    page.keyboard.type("not yet")
    page.keyboard.press("Enter")
    page.get_by_text("First choose").wait_for()
    page.keyboard.press("Tab")  # the focus is on the first of the choices
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=B is better >> xpath=self::*[@aria-pressed='true']")
    page.uncheck("#compare")
    page.focus("#question")
    page.keyboard.press("Enter")
    page.locator(".message.user").nth(2).wait_for()
    page.locator(".writing").first.wait_for(state="detached")
    check(page)
    assert complaints == []
    until(lambda: count(sqlite_store, Comparison) == 1)  # the page doesn't wait for it
    user = page.locator("#user").text_content()
    page.context.close()
    with sqlite_store.reading() as session:
        prompts = session.scalars(select(Prompt).order_by(Prompt.id)).all()
        assert [p.messages[-1]["content"] for p in prompts] == ["is it so?", "and so?", "not yet"]
        assert [len(p.messages) for p in prompts] == [1, 3, 5]
        assert {each.user_key for each in session.scalars(select(Asking))} == {user}
        assert [r.value for r in session.scalars(select(Rating))] == [7, 1]
        assert count(sqlite_store, Comparison) == 1
        assert [a.name for a in session.scalars(select(Annotator))] == [f"pilot/{user}"]
        assert all(j.revision <= 2 for j in session.scalars(select(Judgement)))


@pytest.mark.parametrize("size", SIZES)
def test_a_blind_choice_between_two_models(
    browser: Browser, blind_url: str, sqlite_store: Store, size: str
) -> None:
    page, complaints = open_page(browser, blind_url, size, "dark" if size == "phone" else "light")
    check(page)
    assert serious(page) == [] and page.locator("#compare").count() == 0
    ask(page, "a secret?")
    page.get_by_text("A is better").click()
    page.get_by_text("Not counted.").wait_for()
    page.check("#consent")
    page.focus("#question")
    ask(page, "and so?")
    check(page)
    answers = page.locator(".message.bot .text").all_text_contents()
    page.get_by_text("B is better").last.click()
    page.get_by_text("Thank you.").wait_for()
    seen = page.content()
    assert serious(page) == [] and "wren" not in seen and "robin" not in seen
    assert complaints == []
    page.context.close()
    with sqlite_store.reading() as session:
        (prompt,) = session.scalars(select(Prompt))
        (won,) = wins(session)
        stored = {each.candidate: each.text for each in session.scalars(select(Completion))}
    assert [each["role"] for each in prompt.messages] == ["user", "assistant", "user"]
    assert prompt.messages[1]["content"] == answers[0]  # the conversation went on with A
    assert stored[won.candidate] == answers[3] and stored[won.against] == answers[2]
    assert (won.rate.value, won.judgements) == (1.0, 1)


@pytest.mark.parametrize("size", SIZES)
def test_markdown_is_rendered_and_axe_has_nothing_serious_to_say(
    browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    written = "# Bees\n\n- **many**\n- few\n\n<img src=x onerror=alert(1)>"
    monkeypatch.setattr(
        "truing.models.decoding.Generation.text_from", lambda generation, start: written[start:]
    )
    page, complaints = open_page(browser, url, size, "dark" if size == "phone" else "light")
    assert serious(page) == []
    page.check("#consent")
    page.check("#compare")
    page.click("text=What is kept")
    ask(page, "# How many?")
    page.uncheck("#compare")
    ask(page, "And now?")
    assert page.locator(".message.bot strong").all_inner_texts() == ["many"] * 3
    assert not page.locator(".message.bot .text").last.is_visible()
    assert page.locator(".message.user .text").first.inner_text() == "# How many?"
    assert serious(page) == []
    page.get_by_label("Raw text").check()
    assert page.locator(".message.bot .text").last.inner_text() == written
    assert not page.locator(".markdown").last.is_visible()
    assert page.locator("main img").count() == 0 and complaints == []
    assert page.goto(f"{url}/?token=wrong").status == 401  # type: ignore[union-attr]
    assert serious(page) == []
    page.context.close()


def test_scripts_from_people_and_from_the_model_do_not_run(
    browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "truing.models.decoding.Generation.text_from", lambda generation, start: EVIL[start:]
    )
    page, complaints = open_page(browser, url)
    page.check("#consent")
    ask(page, EVIL)
    assert page.locator(".message.user .text").inner_text() == EVIL
    assert page.locator(".message.bot .text").inner_text() == EVIL
    assert page.locator("main img, main script, main a[href^=javascript]").count() == 0
    assert complaints == []
    page.context.close()


def test_what_goes_wrong_is_said_and_the_question_stays(
    browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(generator: BatchedGenerator, generation: Any) -> None:
        raise RuntimeError("a defect")

    page, _ = open_page(browser, url)
    with monkeypatch.context() as patch:
        patch.setattr(BatchedGenerator, "read", broken)
        ask(page, "why?")
        page.get_by_text("could not be finished").wait_for()
    assert page.input_value("#question") == "why?" and page.locator(".message").count() == 0
    page.keyboard.press("Enter")
    page.wait_for_selector(".message.bot")
    page.context.close()
    stranger = browser.new_page()
    stranger.goto(url)
    assert "Open the link that" in stranger.inner_text("main")
    stranger.close()
