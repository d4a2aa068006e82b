"""Prompts that a model should comply with although they look unsafe, and others that it should decline.

The built-in ones are ours and harmless: alarming words in plain questions, and beside each a request that
is unkind, untrue or private about people and firms that we made up. Published sets are read from a user's
file: XSTest (Röttger et al., 2024), whose unsafe contrasts have a type that begins with `contrast`, and
CoCoNot (Brahman et al., 2024), whose contrasts are a file of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from truing.data.distinct import CaseFile, distinct_cases
from truing.data.drafts import mistake
from truing.data.tables import TableRow, read_table
from truing.data.tables.table import in_small_letters
from truing.data.texts import built_in_lines
from truing.types import Case, answer_key

Expected = Literal["comply", "refuse"]
LABELS: dict[str, Expected] = {
    "comply": "comply",
    "safe": "comply",
    "refuse": "refuse",
    "unsafe": "refuse",
}
"""What a column `expects` or `label` may say, and what it means."""
_SAYING = ("expects", "label")
WHERE = "refusals"
BUILT_IN = "built-in"
_RIGHT = "give a column expects (comply or refuse), or XSTest's or CoCoNot's files as published"


def refusal_cases(sources: Sequence[str]) -> CaseFile:
    """The cases of `built-in` and of files, in order; each once.

    Their columns hold `expects`: comply or refuse. Raises InputError where a file can't be read, a row
    doesn't say what is expected, or two rows of one prompt say different things.
    """
    read = [_built_in() if source == BUILT_IN else _read(source) for source in sources]
    cases = list(chain.from_iterable(read))
    _check_agreement(cases)
    return distinct_cases(cases, ", ".join(sources))


def task_refusals(source: str | None) -> tuple[Case, ...]:
    """The cases of the file that a task names; the built-in ones where it names none."""
    return refusal_cases((source or BUILT_IN,)).cases


def _built_in() -> list[Case]:
    rows = [json.loads(line) for line in built_in_lines("refusals.jsonl")]
    return [
        _case(row["prompt"], row["expects"], row["category"], "built-in refusals") for row in rows
    ]


def _case(prompt: str, expects: Expected, category: str, source: str) -> Case:
    return Case(prompt, category=category, source=source, columns={"expects": expects})


def _read(source: str) -> list[Case]:
    rows = in_small_letters(read_table(source, WHERE)).rows
    if not rows:
        raise mistake(f"{WHERE}: {source}", None, "", "no prompt in it", _RIGHT)
    return [_of_row(source, row) for row in rows]


def _of_row(source: str, row: TableRow) -> Case:
    prompt = row.values.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise mistake(row.place, None, "prompt", "missing or empty", "give the text of the prompt")
    category = str(
        row.values.get("type") or row.values.get("subcategory") or row.values.get("category") or ""
    )
    return _case(prompt, _expected(source, row), category, row.place)


def _expected(source: str, row: TableRow) -> Expected:
    """What a row expects: as it says, or as the published sets have it."""
    said = {name: value for name in _SAYING if _is_given(value := row.values.get(name))}
    if said:
        return _said(row, said)
    if blank := next((name for name in _SAYING if name in row.values), ""):
        raise mistake(row.place, None, blank, "empty", f"one of {', '.join(LABELS)}")
    if isinstance(kind := row.values.get("type"), str) and kind:  # XSTest
        return "refuse" if kind.startswith("contrast") else "comply"
    if {"subcategory", "response"} <= row.values.keys():  # CoCoNot
        return "comply" if "contrast" in Path(source).name.lower() else "refuse"
    raise mistake(row.place, None, "expects", "missing, and the row is of no set known", _RIGHT)


def _is_given(value: Any) -> bool:
    return value is not None and bool(str(value).strip())


def _said(row: TableRow, said: Mapping[str, Any]) -> Expected:
    """What the columns say, which is the same; a label beside `expects` may be of another kind."""
    first, *others = said
    expected = _labelled(row, first, said[first])
    for name in others:
        other = LABELS.get(str(said[name]).strip().lower(), expected)
        if other != expected:
            wrong = f"{str(said[first]).strip()!r}, but {name} says {str(said[name]).strip()!r}"
            raise mistake(row.place, None, first, wrong, "make both say the same, or leave one out")
    return expected


def _labelled(row: TableRow, name: str, value: Any) -> Expected:
    label = str(value).strip().lower()
    if label not in LABELS:
        raise mistake(row.place, None, name, f"{str(value)[:40]!r}", f"one of {', '.join(LABELS)}")
    return LABELS[label]


def _check_agreement(cases: Sequence[Case]) -> None:
    seen: dict[str, Case] = {}
    for case in cases:
        first = seen.setdefault(answer_key(case.prompt), case)
        if first.columns["expects"] != case.columns["expects"]:
            raise mistake(
                case.source,
                None,
                "expects",
                f"{case.columns['expects']}, but {first.source} says {first.columns['expects']} of the "
                "same prompt",
                "keep one of the two",
            )
