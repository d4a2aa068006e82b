"""The documentation as a site: on a phone, in both colour schemes, searched from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from browsing import OVERFLOWING, new_page, serious
from paths import ROOT

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytest.importorskip("material", reason="Material for MkDocs is not installed")

HARD = ("index", "training")
"""Pages that together have all kinds of things: cards, pictures, tables, code in colours, lists."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Path:
    """The site as `make docs` builds it, but for what it takes from docstrings (`make check` has that)."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "TRUING_DOCS_API": "false"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_on_a_phone(site: Path, browser: Any, scheme: str) -> None:
    page, _ = new_page(browser, "phone", scheme)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for name in HARD:
        page.goto((site / f"{name}.html").as_uri(), wait_until="load")
        assert serious(page) == [], name  # contrast of 4.5:1 is among what it asks for
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.context.close()


def test_no_page_is_wider_than_a_phone(site: Path, browser: Any) -> None:
    page, complaints = new_page(browser, "phone")
    pages = sorted(site.glob("*.html"))
    assert len(pages) > 30
    assert site / "404.html" not in pages  # its links would be to the root of a server
    for path in pages:
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        width = page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= 390, (path.name, page.evaluate(OVERFLOWING)[:5])
    assert complaints == []
    page.context.close()


def test_the_copy_button_lies_on_no_code(site: Path, browser: Any) -> None:
    page, _ = new_page(browser, "phone")
    page.goto((site / "install.html").as_uri(), wait_until="load")
    page.locator(".md-code__button").first.wait_for()
    over = page.evaluate("""() => [...document.querySelectorAll('pre:has(> .md-code__nav)')].filter(e => {
      const range = document.createRange();
      range.selectNodeContents(e.querySelector('code'));
      const button = e.querySelector('.md-code__button').getBoundingClientRect();
      return range.getBoundingClientRect().top < button.bottom;
    }).length""")
    assert over == 0
    page.context.close()


@pytest.mark.parametrize("option", ["--accept-licence", "--read", "--limit"])
def test_the_search_finds_options_where_they_are_explained(
    site: Path, browser: Any, option: str
) -> None:
    assert "commands.html" in found(site, browser, option)[0]


def test_the_search_finds_keys_and_others_options(site: Path, browser: Any) -> None:
    assert any("commands.html" in each for each in found(site, browser, "reward.unfinished"))
    assert any("others.html" in each for each in found(site, browser, "--model_args"))


def found(site: Path, browser: Any, words: str) -> list[str]:
    """Where the results lead, the best first."""
    page, _ = new_page(browser, "desk")
    page.goto((site / "index.html").as_uri(), wait_until="load")
    page.locator("input[data-md-component=search-query]").click()
    page.keyboard.type(words)
    results = page.locator(".md-search-result__item a")
    results.first.wait_for()
    links = [each.get_attribute("href") or "" for each in results.all()]
    page.context.close()
    return links


def test_the_search_works_from_a_file(site: Path, browser: Any) -> None:
    page, complaints = new_page(browser, "desk")
    page.goto((site / "index.html").as_uri(), wait_until="load")
    page.locator("input[data-md-component=search-query]").click()
    page.keyboard.type("representativeness")
    results = page.locator(".md-search-result__item a")
    results.first.wait_for()
    assert any("opinions.html" in (each.get_attribute("href") or "") for each in results.all())
    results.first.click()
    page.wait_for_url(lambda url: "index.html" not in url)
    assert complaints == []
    page.context.close()
