"""Every page of the built documentation on a phone, in both colour schemes: width, contrast, names, order.

make docs && python tests/support/site_sweep.py site

Takes minutes, so it is run by hand; `tests/cli/test_site.py` asks the same of the hardest pages.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from browsing import OVERFLOWING, new_page, serious


def faults(site: Path, browser: Browser, scheme: str) -> Iterator[str]:
    """What is wrong with the pages in one colour scheme, each with its page."""
    page, _ = new_page(browser, "phone", scheme)
    for path in sorted(site.glob("*.html")):
        if path.name == "404.html":  # a server's; opened from a file it finds none of its styles
            continue
        page.goto(path.as_uri(), wait_until="load")
        width = page.evaluate("document.scrollingElement.scrollWidth")
        wide = page.evaluate(OVERFLOWING)[:3] if width > 390 else []
        for each in [*wide, *serious(page)]:
            yield f"{path.name} ({scheme}): {each}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the built site")
    site = parser.parse_args().site
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        every = [fault for scheme in ("light", "dark") for fault in faults(site, browser, scheme)]
        browser.close()
    print("\n".join(every) or f"{len(list(site.glob('*.html'))) - 1} pages, two schemes: no fault")


if __name__ == "__main__":
    main()
