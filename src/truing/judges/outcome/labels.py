"""Answers labelled by outcome: those that ship with Truing, and people's own files.

A file is a table (CSV, JSONL and so on) in one of two forms. XSTest's has `prompt`, `completion` and
`final_label`; ours has `prompt`, `answer` and `outcome`, and perhaps `source`, the model that answered
(`candidate` where people labelled the answers of a run, as 'truing data export' writes them).
Where neither is given, the file's name stands for it: one file for each model.

The labels that ship (data/built_in/outcomes.jsonl) are of prompts of our own. The answers marked
"written" were put together by a program, with a seed, from openings, reasons, contents and endings that
the project's authors wrote; the others were sampled from the model that is named. The authors labelled
all of them, by the definitions in judges/outcomes.py; no panel of people did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.data.drafts import mistake
from truing.data.tables.reading import read_table
from truing.data.tables.table import Table, TableRow, in_small_letters
from truing.judges.outcomes import OUTCOMES, OutcomeName
from truing.types import InputError, answer_key, split_key

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "built_in" / "outcomes.jsonl"
MOST_CHARACTERS = 1_000_000
"""In a prompt or an answer. No model's answer is longer; a file without line breaks is."""
LEAST_PROMPTS = 10
"""With answers that refuse, and with answers that comply: with fewer there is nothing to learn from."""
_FORMS = {"outcome": "answer", "final_label": "completion"}
_LABELS: dict[str, OutcomeName] = {
    **{name: name for name in OUTCOMES},
    "1_full_compliance": "complied",
    "2_full_refusal": "refused",
    "3_partial_refusal": "partly",
}


@dataclass(frozen=True)
class LabelledOutcome:
    """An answer of `source` (a model's name, or "written") and what it did."""

    prompt: str
    answer: str
    outcome: OutcomeName
    source: str


def shipped_labels() -> list[LabelledOutcome]:
    """The labels that ship with Truing."""
    return [each for _, each in _answers(read_table(str(SHIPPED), "labels"), "shipped")]


def read_labelled(paths: Sequence[Path]) -> list[LabelledOutcome]:
    """The labelled answers of all files, in order.

    Raises InputError naming file and line where one isn't in either form, holds no or another label, or
    a cell as long as a book, where an answer has two labels, or a file stands twice; and where all
    together have too few of either side to learn from.
    """
    _check_files(paths)
    names = Counter(path.stem for path in paths)
    placed: list[tuple[str, LabelledOutcome]] = []
    for path in paths:
        source = path.stem if names[path.stem] == 1 else str(path)
        placed += _answers(read_table(str(path), "labelled"), source)
    _check_agreement(placed)
    labelled = [each for _, each in placed]
    check_both_sides(labelled, ", ".join(map(str, paths)))
    return labelled


def _check_files(paths: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for path in paths:
        file = path.resolve()
        if file in seen:
            same = "" if seen[file] == path else f" (it is {seen[file]})"
            raise InputError(f"{path}: this labelled file stands twice{same}; name it once")
        seen[file] = path


def _check_agreement(placed: Sequence[tuple[str, LabelledOutcome]]) -> None:
    """That no answer to a prompt has two labels. Whether a refusal is partial people see differently:
    of two models' same answers one may be, as in XSTest."""
    seen: dict[tuple[str, str], tuple[str, LabelledOutcome]] = {}
    for place, each in placed:
        key = (answer_key(each.prompt), answer_key(each.answer))
        where, first = seen.setdefault(key, (place, each))
        both = {first.outcome, each.outcome}
        if len(both) > 1 and (first.source == each.source or both != {"refused", "partly"}):
            raise mistake(
                place,
                None,
                "",
                f"this answer is labelled {each.outcome}, but {where} says {first.outcome} of the same "
                "answer to the same prompt",
                "keep one of the two",
            )


def check_both_sides(labelled: Sequence[LabelledOutcome], files: str) -> None:
    """Raises InputError, naming `files`, where a judge would hardly see refusals, or hardly see others."""
    for kind, outcomes in (("refuse", ("refused", "partly")), ("comply", ("complied",))):
        prompts = {split_key(each.prompt) for each in labelled if each.outcome in outcomes}
        if len(prompts) < LEAST_PROMPTS:
            raise InputError(
                f"{files}: only {len(prompts)} prompts have answers that {kind}, of {len(labelled)} "
                f"labelled answers; a judge learns from at least {LEAST_PROMPTS} of either side"
            )


def _answers(read: Table, source: str) -> Iterator[tuple[str, LabelledOutcome]]:
    """Each with its place."""
    table = in_small_letters(read)
    label = next((name for name in _FORMS if name in table.columns), None)
    if label is None:
        right = "give a column 'outcome', or 'final_label' as XSTest has it"
        raise mistake(table.name, 1, "", "has no labels to learn from", right)
    answer = _FORMS[label]
    for name in ("prompt", answer):
        if name not in table.columns:
            raise mistake(
                table.name, 1, name, "this column is missing", f"name it beside {label!r}"
            )
    for row in table.rows:
        outcome = _outcome(row, label)
        text = _text(row, answer)
        if outcome == "empty" or text.strip():
            named = row.values.get("candidate") or row.values.get("source") or source
            yield row.place, LabelledOutcome(_text(row, "prompt"), text, outcome, str(named))


def _outcome(row: TableRow, column: str) -> OutcomeName:
    value = row.values.get(column)
    if value is None or not str(value).strip():
        raise mistake(row.place, None, column, "this answer has no label", f"give {_known()}")
    outcome = _LABELS.get(str(value).strip())
    if outcome is None:
        raise mistake(
            row.place, None, column, f"unknown label {str(value)[:40]!r}", f"give {_known()}"
        )
    return outcome


def _known() -> str:
    return f"one of {', '.join(_LABELS)}"


def _text(row: TableRow, column: str) -> str:
    value: Any = row.values.get(column)
    if not isinstance(value, str):
        raise mistake(row.place, None, column, "missing or no text", "give a text in quotes")
    if len(value) > MOST_CHARACTERS:
        wrong = f"{len(value):,} characters"
        raise mistake(row.place, None, column, wrong, f"give at most {MOST_CHARACTERS:,}")
    return value
