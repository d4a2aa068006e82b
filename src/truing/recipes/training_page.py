"""The page that `truing train` leaves in its folder, written anew at checkpoints and at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from truing.files import write_text_atomically
from truing.recipes.report import metrics_of, report_written
from truing.report.training.page import candidates_in, findings, page
from truing.runs.folder import RunFolder
from truing.spec.reading import make_spec

PAGE = "report.html"
SHARE = 0.02
"""Of the time that a training takes, how much its page may."""
FIRST = 5.0
"""Seconds that a training lasts before it has a page; a shorter one has it at its end."""


def write_training_page(folder: Path) -> Path:
    """Writes the page of a training as it stands; its path.

    Raises InputError where the folder is no training's, a file in it is broken, or nothing can be written
    there; the page is as it was then.
    """
    run = RunFolder.open(folder)
    defaults = make_spec({}, profile=None).model_dump(mode="json")
    text = page(run, metrics_of(run), defaults)
    with report_written(folder):
        write_text_atomically(folder / PAGE, text)
    return folder / PAGE


def page_as_it_goes(folder: Path, first: float = FIRST) -> Callable[[], None]:
    """Writes the page whenever it is called: from `first` seconds on, and but for calls so soon after the
    last one that it would take more than its share of the time. Nothing that is wrong with the page ends
    a training, a defect of the page's own neither: it comes up when the page is written at the end."""
    due = time.monotonic() + first

    def write() -> None:
        nonlocal due
        begun = time.monotonic()
        if begun < due:
            return
        with suppress(Exception):
            write_training_page(folder)
        took = time.monotonic() - begun
        due = begun + took / SHARE

    return write


def training_document(run: RunFolder) -> dict[str, Any]:
    """What `truing report --json` prints of a training."""
    candidates = candidates_in(run)
    return {
        "run": str(run.path),
        "kind": run.part("identity").get("kind"),
        "spec_digest": run.record.get("spec_digest"),
        "finished": run.record.get("finished"),
        "held_out": {
            each.name: {name: figure.to_json() for name, figure in each.held_out.items()}
            for each in candidates
        },
        "findings": [each.text for each in findings(run, candidates, metrics_of(run))],
        "costs": run.part("costs"),
    }


def is_training(run: RunFolder) -> bool:
    """Whether a run's page is a training's."""
    return str(run.part("identity").get("kind", "")).startswith("train ")
