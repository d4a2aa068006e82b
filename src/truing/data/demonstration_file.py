"""Demonstrations from a user's table: conversations, each with the answer that is to be imitated.

A table of another kind is refused by name: nothing that people found bad, or didn't write as an
example, is ever imitated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from truing.data.columns import MESSAGES, Columns, Field, columns_of, spread
from truing.data.dialogues import Dialogue
from truing.data.drafts import mistake
from truing.data.left_out import LeftOutRows, with_place
from truing.data.messages import Turns
from truing.data.question_layouts import plain_name
from truing.data.tables import Table, TableRow, read_table
from truing.data.turns import (
    answers_in,
    asked_in,
    ended_by_assistant,
    is_answered,
    messages_in,
    turns_in,
)
from truing.types import did_you_mean

ROLES = ("prompt", "messages", "completion", "references")
"""What a mapping can say of a file of demonstrations."""
_COMMON = ("prompt", "messages", "references")
_JUDGING = ("rating", "label", "weight", "chosen", "rejected")
"""Columns that say how good an answer is: one that is nearly called so may be meant for it."""
_CLOSE = 0.85
UNWANTED = "marked unwanted (label is false)"
UNWEIGHTED = "weight 0"
UNANSWERED = "without an answer"
_RIGHT = (
    "give prompt and completion, instruction and output, question and answer, or messages that end "
    "with the assistant's"
)


@dataclass(frozen=True)
class DemonstrationFile:
    """The demonstrations of a source in order; `left_out` counts rows that are none, by reason,
    `first` has the place of the first of these; `remarks` says how it was read where that isn't plain."""

    dialogues: tuple[Dialogue, ...]
    left_out: Mapping[str, int]
    source: str
    remarks: tuple[str, ...] = ()
    first: Mapping[str, str] = field(default_factory=dict)

    @property
    def left_out_with_place(self) -> dict[str, int]:
        """What was left out, by its reason with the place of the first of them."""
        return with_place(self.left_out, self.first)


def read_demonstrations(source: str, columns: Mapping[str, str], where: str) -> DemonstrationFile:
    """The demonstrations in a file, a saved folder or a data set of the hub; see `read_table`.

    `columns` and `where` are as for cases; with `completion` mapped, that column is imitated whatever
    stands beside it. Raises InputError naming the first row that holds no demonstration, or the form
    that the table has instead.
    """
    table = spread(read_table(source, where))
    known = columns_of(table, columns, where, ROLES, _COMMON)
    place = f"{where}: {source}"
    if "completion" not in known.mapped:
        _check_form(table, place)
    marks = _marks(table)
    dialogues: list[Dialogue] = []
    left_out = LeftOutRows()
    for row in table.rows:
        if reason := _unwanted(known, row, marks=marks):
            left_out.add(reason, row.place)
        else:
            dialogues += _dialogues(known, row)
    if not dialogues:
        reasons = "; ".join(f"{count} rows {reason}" for reason, count in left_out.counts.items())
        raise mistake(place, None, "", f"no demonstration in it ({reasons or 'no row'})", _RIGHT)
    counts = dict(left_out.counts)
    return DemonstrationFile(tuple(dialogues), counts, source, table.remarks, left_out.first)


def _check_form(table: Table, place: str) -> None:
    there = set(table.columns)
    answered = there & {"completion", "response", "output", "answer", *MESSAGES}
    if {"chosen", "rejected"} <= there and not answered:
        wrong = "holds pairs of answers (chosen, rejected), not demonstrations"
        raise mistake(place, None, "", wrong, "name it as preferences")
    for column in table.columns:
        hint = did_you_mean(plain_name(column), _JUDGING, cutoff=_CLOSE)
        if hint and plain_name(column) not in _JUDGING:
            right = f"{hint}If not, map 'completion' to what is to be imitated"
            raise mistake(place, None, column, "unknown column", right)
    for name in ("rating", "completions"):
        if {"prompt", name} <= there:
            wrong = f"holds rated or ranked answers ({name}), not demonstrations"
            right = "map 'completion' to the column that is to be imitated, or leave such rows out"
            raise mistake(place, None, "", wrong, right)


def _marks(table: Table) -> bool:
    """Whether the column `label` says of every row, true or false, if its answer is wanted."""
    labels = [row.values.get("label") for row in table.rows]
    return all(isinstance(label, bool) or label in ("True", "False") for label in labels)


def _unwanted(columns: Columns, row: TableRow, *, marks: bool) -> str:
    """Why a row is no demonstration; empty where it is one, or should be."""
    label = row.values.get("label")
    if label is False or (marks and label == "False"):
        return UNWANTED
    talk = columns.of(row, "messages")
    last = messages_in(talk)[-1] if talk else None
    weights = (row.values.get("weight"), last.get("weight") if isinstance(last, dict) else None)
    if any(_zero(weight) for weight in weights):
        return UNWEIGHTED
    if talk:
        return UNANSWERED if is_answered(talk) and not turns_in(talk)[-1][1].strip() else ""
    return UNANSWERED if columns.has("completion") and not _completion(columns, row) else ""


def _zero(weight: object) -> bool:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return (number and weight == 0) or weight in ("0", "0.0")


def _completion(columns: Columns, row: TableRow) -> Field | None:
    field = columns.of(row, "completion")
    return field or (columns.of(row, "references") if "references" in columns.mapped else None)


def _dialogues(columns: Columns, row: TableRow) -> Iterator[Dialogue]:
    """A row's demonstrations: a conversation's last turn, or each answer that is given to a prompt."""
    role = "prompt" if "prompt" in columns.mapped else "question"
    talk, completion = columns.of(row, "messages"), _completion(columns, row)
    if talk and ("messages" in columns.mapped or not (completion and columns.of(row, role))):
        role = "messages"
        if completion is None or is_answered(talk):
            messages, answer = ended_by_assistant(talk)
            yield _dialogue(row, talk, messages, answer)
            return
    field, messages = asked_in(columns, row, role)
    if completion is None:
        raise columns.missing(row, "answer to imitate")
    for answer in answers_in(completion):
        yield _dialogue(row, field, messages, answer)


def _dialogue(row: TableRow, field: Field, messages: Turns, answer: str) -> Dialogue:
    if not messages or messages[-1][0] != "user":
        raise field.wrong("no user's turn before the answer", "give what is answered")
    return Dialogue(
        messages,
        answer.strip(),
        user=str(row.values.get("user") or ""),
        seconds=_positive(row.values.get("seconds")),
        source=row.place,
    )


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value > 0 else None
