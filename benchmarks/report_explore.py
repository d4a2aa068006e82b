"""The report in a browser: whether every answer is found, how long filters take, what the page weighs.

python benchmarks/report_explore.py runs/NAME        the report of a run, made anew beside it
python benchmarks/report_explore.py                  of a made-up run of 2,000 answers

Every answer of the rows is searched for, and has to stand in the first rows shown. Each filter is set as a
reader sets it, three times, and timed until the browser has laid the page out again; the figure is the
slowest filter's middle time, with the median of all. Besides: the page's size, what it asks the network
for, what it says on the console, its width on a phone, and the same page without script. Exits with 1 where
an answer isn't found, a filter takes 100 ms or more, the page has 3 MB or more, or anything is asked for.
Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from truing.recipes.report import build_report
from truing.runs.folder import RunFolder

NAMES = ("base", "prompt", "sft", "preference", "rl")
CASES = 400
WORDS = (
    "the",
    "moon",
    "is",
    "made",
    "of",
    "rock",
    "and",
    "ice",
    "so",
    "people",
    "said",
    "never",
    "dust",
)
MOST_MS, MOST_BYTES, PHONE = 100.0, 3_000_000, 390
TIMED = """(steps) => steps.map(([name, value]) => {
  const control = document.querySelector(`[data-filter=${name}]`);
  if (!control) return null;
  if (control.type === 'checkbox') control.checked = Boolean(value); else control.value = value;
  const start = performance.now();
  control.dispatchEvent(new Event('input', { bubbles: true }));
  document.body.getBoundingClientRect();
  return [name, value, performance.now() - start];
}).filter(Boolean)"""
FIND = """(texts) => {
  const plain = (text) => text.replace(/\\s+/gu, ' ').trim();
  const search = document.querySelector('[data-filter=words]');
  return texts.filter((text) => {
    search.value = plain(text);
    search.dispatchEvent(new Event('input', { bubbles: true }));
    return ![...document.querySelectorAll('.given tbody tr')].some((row) => !row.hidden
      && [...row.querySelectorAll('q')].some((each) => plain(each.textContent) === plain(text)));
  });
}"""


def made_run(path: Path) -> Path:
    """A run of `NAMES` with `CASES` answers each, of words drawn by place."""

    def text(name: str, case: int) -> str:
        drawn = [WORDS[(case * step + len(name)) % len(WORDS)] for step in range(1, 18)]
        return f"Answer {case} by {name}: {' '.join(drawn)}."

    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"candidates": NAMES, "finished": "2026-01-01"}))
    questions = [
        {"id": f"q{n}", "prompt": f"Question {n}: is it so?", "category": f"Category {n % 30}",
         "split": "held_out", "correct_answers": ["No."], "incorrect_answers": ["Yes."]}
        for n in range(CASES)
    ]  # fmt: skip
    (path / "questions.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in questions))
    for place, name in enumerate(NAMES):
        file = path / f"rows/truthfulness/{name}-seed0.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {"candidate": name, "seed": 0, "evaluation": "truthfulness", "case": f"q{n}",
             "metrics": {"true_and_informative": float((n * (place + 3)) % 7 < 3 + place / 2)},
             "category": f"Category {n % 30}", "detail": {"answer": text(name, n)}}
            for n in range(CASES)
        ]  # fmt: skip
        file.write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    return path


def steps(page: Any) -> list[tuple[str, Any]]:
    """Each filter as a reader sets it, and cleared again."""
    options = "e => [...e.options].map(each => each.value)"
    found: list[tuple[str, Any]] = []
    for word in ("t", "th", "the", "the m", "", "no answer has this", ""):
        found.append(("words", word))
    for name in ("evaluation", "category", "column", "outcome"):
        control = page.locator(f"[data-filter={name}]")
        if control.count():
            found += [(name, value) for value in control.evaluate(options)] + [(name, "")]
    return [*found, ("differ", True), ("outcome", "gained"), ("outcome", ""), ("differ", False)]


def measured(browser: Any, report: Path, texts: list[str]) -> dict[str, Any]:
    """What the browser says of a page."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(report.as_uri(), wait_until="load")
    page.wait_for_timeout(500)
    rounds = [page.evaluate(TIMED, steps(page)) for _ in range(3)]
    times = [
        (*each[0][:2], statistics.median(time for *_, time in each))
        for each in zip(*rounds, strict=True)
    ]
    missing = page.evaluate(FIND, texts)
    page.set_viewport_size({"width": PHONE, "height": 844})
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    phone = page.evaluate("document.scrollingElement.scrollWidth")
    context.close()
    bare = browser.new_context(java_script_enabled=False).new_page()
    bare.goto(report.as_uri(), wait_until="load")
    milliseconds = [each[2] for each in times]
    return {
        "bytes": report.stat().st_size,
        "answers": len(texts),
        "not_found": missing[:5],
        "filters": len(times),
        "slowest_ms": round(max(milliseconds), 1),
        "slowest": max(times, key=lambda each: each[2])[:2],
        "median_ms": round(statistics.median(milliseconds), 1),
        "asked_for": [url for url in asked if not url.startswith("data:")][1:],
        "console": said,
        "width_on_a_phone": phone,
        "answers_without_script": bare.locator(".given dd q").count(),
    }


def main() -> int:
    """Prints the figures as one JSON document; 1 where one of them is out of bounds."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, help="a run folder; without, a made-up one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = Path(folder) / "run"
        if options.run:
            shutil.copytree(options.run, run, ignore=shutil.ignore_patterns("*.safetensors"))
            (run / "summary.json").unlink(missing_ok=True)
        else:
            made_run(run)
        report = build_report(run)
        rows = RunFolder.open(run).rows()
        texts = [t for row in rows if isinstance(t := row.detail.get("answer"), str) and t.strip()]
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        figures = measured(browser, report, texts)
        browser.close()
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    bad = (
        figures["not_found"]
        or figures["asked_for"]
        or figures["console"]
        or figures["slowest_ms"] >= MOST_MS
        or figures["bytes"] >= MOST_BYTES
        or figures["width_on_a_phone"] > PHONE
        or figures["answers_without_script"] < figures["answers"]
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
