"""One task on the labelling page, done with the keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

WRITING = "textarea[name=text]:focus"  # the browser puts the focus there a moment after loading


def answer_by_keys(page: Page, kind: str) -> None:
    """One task with the keyboard alone."""
    keys = {
        "rating": ["6", "t", "h", "h", "f"],
        "comparison": ["b"],
        "annotation": ["4"],
        "ranking": [],
        "outcome": ["3"],
        "opinion": ["2"],
        "demonstration": [],
    }[kind]
    if kind == "demonstration":
        page.wait_for_selector(WRITING)
        page.keyboard.type("Typed by hand.")
    if kind == "ranking":
        page.locator(".handle").last.focus()
        page.keyboard.press("Alt+ArrowUp")
    for key in keys:
        page.keyboard.press(key)
    with page.expect_navigation():
        page.keyboard.press("Control+Enter")
