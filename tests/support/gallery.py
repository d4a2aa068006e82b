"""The pictures of docs/gallery.md: parts of real pages, as a browser shows them.

    truing align --out RUN
    truing eval truthfulness trivia --candidate smollm2-135m RUN/candidates/preference \
        --prompt own helpful neutral harmful --limit 60 --out EVAL
    truing grid --out GRID
    python tests/support/gallery.py RUN EVAL GRID docs/figures

The labelling page's picture is of `truing label --demo`, started here on an empty store.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

PARTS = {
    # picture: (which folder, what of its report, how wide the page, at most so many pixels high)
    "comparison": ("run", "#comparison", 1180, 775),
    "gain": ("run", "#gain", 900, 445),
    "learning": ("run", "#learning", 900, 490),
    "rules": ("run", "#rules", 900, 662),
    "attacks": ("run", "#attacks", 900, 470),
    "answers": ("run", "#answers", 900, 545),
    "trust": ("run", "#trust", 900, 570),
    "prompts": ("eval", "body", 900, 760),
    "grid_page": ("grid", "body", 900, 1130),
}


def picture(part: Locator, height: int) -> bytes:
    """A part as a PNG of few colours, cut at the height."""
    page = Image.open(io.BytesIO(part.screenshot()))
    cut = page.crop((0, 0, page.width, min(page.height, height))).convert("RGB")
    held = io.BytesIO()
    cut.quantize(96, dither=Image.Dither.NONE).save(held, "PNG", optimize=True)
    return held.getvalue()


def draw(page: Page, folders: dict[str, Path], out: Path) -> None:
    """Every picture of PARTS into a folder."""
    for name, (which, selector, width, height) in PARTS.items():
        page.set_viewport_size({"width": width, "height": 900})
        report = "grid.html" if which == "grid" else "report.html"
        page.goto((folders[which] / report).resolve().as_uri(), wait_until="load")
        (out / f"{name}.png").write_bytes(picture(page.locator(selector).first, height))


def draw_label(browser: Browser, out: Path) -> None:
    """The first thing that an annotator sees, on a phone."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "demo.db")
        command = [sys.executable, "-m", "truing.cli.main", "label", "--demo", "--store", store]
        with subprocess.Popen(
            [*command, "--port", "0"], stdout=subprocess.PIPE, text=True
        ) as server:
            link = server.stdout.readline().split()[-1] if server.stdout else ""
            page = browser.new_page(viewport={"width": 390, "height": 844})
            page.goto(link, wait_until="load")
            page.get_by_text("Go on working").click()
            page.wait_for_load_state()
            (out / "label.png").write_bytes(picture(page.locator("body"), 844))
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("run", "eval", "grid", "out"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    folders = {"run": given.run, "eval": given.eval, "grid": given.grid}
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        draw(browser.new_page(), folders, given.out)
        draw_label(browser, given.out)
        browser.close()


if __name__ == "__main__":
    main()
