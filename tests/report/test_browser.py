"""The page in a real browser: nothing overflows, nothing is fetched, nothing complains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from browsing import serious
from report_browsing import CUT_OFF, OVERFLOWING, TOO_SMALL
from synthetic_run import write_run
from truing.recipes.report import build_report

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


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
    if width == 390:  # names and colours are the same at any width
        assert serious(page) == []
    assert [url for url in requests if not url.startswith("data:")] == [page_path.as_uri()]
    assert complaints == []
    context.close()


def test_print_shows_everything_on_paper_width(browser: Any, page_path: Path) -> None:
    page = browser.new_page(viewport={"width": 690, "height": 980})
    page.emulate_media(media="print")
    page.goto(page_path.as_uri(), wait_until="load")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 690
    assert page.evaluate(OVERFLOWING) == []
    folded = page.locator("details pre").last
    assert folded.bounding_box()["height"] > 100  # the spec, though folded on the screen
    assert not page.locator("nav").is_visible()
    page.close()
