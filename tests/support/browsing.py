"""What every page must hold, asked in the browser: nothing overflows, all is named, large and legible."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from waiting import LONG

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SIZES = {"desk": (1280, 900), "phone": (390, 844)}
SMALL = {"small": (375, 667)}
OVERFLOWING = """() => [...document.querySelectorAll('body *')]
  .filter(e => !e.closest('.scroll, pre, .unseen') && e.checkVisibility())
  .filter(e => { const box = e.getBoundingClientRect();
                 return box.right > innerWidth + 0.5 || box.left < -0.5; })
  .map(e => e.tagName + '.' + e.className)"""
UNNAMED = """() => [...document.querySelectorAll('button, a, input, select, textarea, progress')]
  .filter(e => e.type !== 'hidden' && e.checkVisibility())
  .filter(e => ![e.matches('button, a') && e.innerText, e.getAttribute('aria-label'),
    e.getAttribute('aria-labelledby'), ...[...e.labels ?? []].map(l => l.innerText)]
    .some(name => name && name.trim()))
  .map(e => e.outerHTML.slice(0, 120))"""
TOO_SMALL = """() => [...document.querySelectorAll('button, a.button, select, .choice')]
  .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 35.5)
  .map(e => e.outerHTML.slice(0, 120))"""
# WCAG 2.2, success criterion 1.4.3: contrast of text against what lies behind it.
LOW_CONTRAST = """() => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; }
    return [255, 255, 255]; };
  return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility())
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .map(e => {
      const style = getComputedStyle(e), size = parseFloat(style.fontSize);
      const a = light(parse(style.color)), b = light(behind(e));
      const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), least, e.outerHTML.slice(0, 100)];
    })
    .filter(([ratio, least]) => ratio < least);
}"""


def serious(page: Page) -> list[str]:
    """What axe calls serious or critical in the page as it stands. Skips the test without axe."""
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    script = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)  # not as a script tag, which the pages' own policy refuses
    violations = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{each['id']}: {node['html'][:160]}"
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def new_page(
    browser: Browser, size: str, scheme: Any = "light", *, touch: bool = False
) -> tuple[Page, list[str]]:
    """An empty page of a size of SIZES or SMALL, and what the browser will complain about."""
    width, height = (SIZES | SMALL)[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        has_touch=touch or size != "desk",
    )
    page = context.new_page()
    page.set_default_timeout(1000 * LONG)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    return page, complaints
