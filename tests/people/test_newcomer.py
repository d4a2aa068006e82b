"""A newcomer's first minutes, as the README tells them: the demo, ten judgements in a real browser,
the export, and a fine-tuning on it. The very commands and the very spec of the README."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from browsing import LOW_CONTRAST, OVERFLOWING, TOO_SMALL, UNNAMED, new_page
from paths import ROOT
from people_pages import answer_by_keys
from tiny import saved
from truing.files import read_jsonl

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TRUING = [sys.executable, "-c", "from truing.cli.main import main; main()"]
SHOTS = os.environ.get("TRUING_SCREENSHOTS")  # a folder, to look at what the newcomer saw


def told() -> tuple[list[str], str]:
    """The commands and the spec in the README's section for newcomers."""
    section = (ROOT / "README.md").read_text("utf-8").split("## People\n")[1].split("\n## ")[0]
    commands = re.findall(r"^truing .+$", section, re.M)
    [spec] = re.findall(r"```yaml\n(.+?)```", section, re.S)
    return commands, textwrap.dedent(spec)


@contextmanager
def labelling(command: str, folder: Path) -> Iterator[str]:
    """The labelling page as the README starts it, on a port that is free; its sign-in link."""
    words = [*TRUING, *shlex.split(command)[1:], "--port", "0"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split("link: ")[1].strip()
    finally:
        process.terminate()
        process.wait(30)


def judge_ten(browser: Browser, link: str, size: str) -> None:
    page, complaints = new_page(browser, size)
    page.goto(link)
    page.wait_for_url(re.compile(r"/$"))
    page.click("text=Go on working")
    seen: set[str] = set()
    for _ in range(10):
        page.wait_for_selector("#judgement")
        kind = page.get_attribute("#judgement", "data-kind") or ""
        if kind not in seen:
            for mistake in (OVERFLOWING, UNNAMED, TOO_SMALL, LOW_CONTRAST):
                assert page.evaluate(mistake) == [], kind
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{size}-{kind}.png", full_page=True)
        seen.add(kind)
        answer_by_keys(page, kind)
    page.goto(re.sub(r"\?.*", "", link))
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{size}-home.png", full_page=True)
    assert complaints == []
    page.context.close()


def newcomer(browser: Browser, folder: Path, size: str, model: str | None) -> dict[str, object]:
    """From the first command to the trained candidate; `model` in place of the default one."""
    commands, spec = told()
    label, *others = commands
    assert label == "truing label --demo"
    with labelling(label, folder) as link:
        judge_ten(browser, link, size)
        content = yaml.safe_load(spec)
        if model:
            content = {"model": model, "dtype": "float32", **content}
        (folder / "first.yaml").write_text(yaml.safe_dump(content))
        for command in others:  # while the page still runs, as in a second terminal
            words = [*TRUING, *shlex.split(command)[1:]]
            if "train" in words:
                words += ["--json", "--out", "run"]
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=280)
            assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_from_the_demo_to_a_candidate_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    found = newcomer(browser, tmp_path, "phone", str(saved(tmp_path / "model")))
    rows = read_jsonl(tmp_path / "liked.jsonl")
    assert len(rows) >= 5 and {row["annotator"] for row in rows} == {"annotator-1"}
    about = found["demonstrations"]
    assert isinstance(about, dict) and about["train"] + about["held_out"] == len(rows)
    assert about["train"] and about["held_out"]
    assert (tmp_path / "run/candidates/sft/adapter_model.safetensors").is_file()


@pytest.mark.model
def test_the_default_model_learns_from_the_demo_at_a_desk(browser: Browser, tmp_path: Path) -> None:
    found = newcomer(browser, tmp_path, "desk", None)
    [candidate] = found["candidates"]  # type: ignore[misc]
    assert candidate["held_out_loss_difference"]["value"] < 0.5
    assert candidate["steps"] >= 5
