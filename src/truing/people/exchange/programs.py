"""Tasks for another labelling program, with the settings that it needs in a file beside."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from truing.files import write_text_atomically
from truing.people.exchange import argilla, label_studio
from truing.people.exchange.tasks import Shown, tasks_shown
from truing.people.store import Store
from truing.types import InputError

Row = dict[str, Any]
PROGRAMS: dict[str, tuple[str, Callable[[Shown], Row], Callable[[str], str]]] = {
    "argilla": ("settings.json", argilla.record_of, lambda kind: _indented(argilla.settings(kind))),
    "label-studio": ("config.xml", label_studio.task_of, label_studio.config),
}
"""Labelling programs by name: how the file beside is called, a task's record, and what that file says."""


def _indented(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def export_tasks(
    store: Store,
    path: Path,
    program: str,
    kind: str,
    consents: Collection[str] = (),
    *,
    judged: bool = False,
) -> tuple[int, Path]:
    """Write the tasks of a kind for another labelling program, and how it should ask, beside.

    `judged` adds what people said here. Returns the number of tasks and the file beside. Raises
    InputError for a kind without a form there, or where a file can't be written.
    """
    ending, record_of, described = PROGRAMS[program]
    if path.suffix.lower() != ".json":
        raise InputError(f"{path}: {program} reads a list of tasks; name the file .json")
    records = [record_of(shown) for shown in tasks_shown(store, kind, consents, judged=judged)]
    beside = path.with_suffix(f".{ending}")
    try:
        write_text_atomically(beside, described(kind))
        write_text_atomically(path, _indented(records))
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error})") from None
    return len(records), beside
