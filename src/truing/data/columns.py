"""What the columns of a table are: by the names that people give them, or as a task's mapping says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from truing.data.drafts import mistake
from truing.data.json_kinds import kind_of
from truing.data.question_layouts import plain_name
from truing.data.tables import Table, TableRow
from truing.types import InputError

MESSAGES = ("messages", "conversations")
_QUESTIONS = ("question", "instruction", "input", "text")
_ANSWERS = ("reference", "references", "gold", "target", "correct_answers")
NAMES: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", *MESSAGES, *_QUESTIONS),
    "question": ("prompt", *_QUESTIONS),
    "messages": MESSAGES,
    "references": (
        "references",
        "reference",
        "answer",
        "output",
        "completion",
        "response",
        "gold",
        "target",
        "correct_answers",
        "chosen",
    ),
    "completion": ("completion", "response", "output", "answer", *_ANSWERS),
    "wrong": ("wrong", "incorrect_answers", "rejected"),
    **{name: (name,) for name in ("category", "source", "family", "chosen", "rejected")},
}
"""The names by which a column is known without a mapping; of those that a row has, the first counts.
"Correct Answers" is `correct_answers`.

`question` is the prompt beside a conversation that has its own answer.
"""


@dataclass(frozen=True)
class Field:
    """A value that a row has: `name` is its column, `place` the row."""

    place: str
    name: str
    value: Any

    def wrong(self, wrong: str, right: str) -> InputError:
        """A mistake in this value."""
        return mistake(self.place, None, self.name, wrong, right)

    def whole(self, text: str) -> str:
        """Text out of the value that can be written as UTF-8. Raises InputError where it can't."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            right = "escape characters as whole pairs"
            raise self.wrong("half of a surrogate pair", right) from None
        return text

    @property
    def plain(self) -> str:
        """The column's name as the names that are known are written."""
        return plain_name(self.name)

    @property
    def text(self) -> str:
        """A value that must be text, stripped."""
        if not isinstance(self.value, str):
            raise self.wrong(f"{kind_of(self.value)} stands here", "give text")
        return self.whole(self.value.strip())


@dataclass(frozen=True)
class Columns:
    """A table's columns by role. `mapped`: what the user says, role to column."""

    mapped: Mapping[str, str]
    present: tuple[str, ...]

    def of(self, row: TableRow, role: str) -> Field | None:
        """The row's first value of that role; null and blank text are none."""
        for name in self._names(role):
            if (field := _field(row, name)) is not None:
                return field
        return None

    def is_blank(self, row: TableRow, role: str) -> bool:
        """Whether the row has a text of that role, and nothing in it."""
        texts = [row.values.get(name) for name in self._names(role)]
        return self.of(row, role) is None and any(isinstance(text, str) for text in texts)

    def own(self, row: TableRow, name: str) -> Field | None:
        """The row's value in the column of that name, where the user gives that column no role."""
        fields = (_field(row, column) for column in self._free.get(name, ()))
        return next((field for field in fields if field is not None), None)

    def label(self, row: TableRow, role: str) -> str:
        """A short text such as a category; a number as it is written, nothing as empty text."""
        field = self.of(row, role)
        if field is not None and isinstance(field.value, int | float):
            return json.dumps(field.value)
        return field.text if field else ""

    def _names(self, role: str) -> Sequence[str]:
        if role in self.mapped:
            return (self.mapped[role],)
        return [column for name in NAMES[role] for column in self._free.get(name, ())]

    @cached_property
    def _free(self) -> Mapping[str, Sequence[str]]:
        """Columns by plain name; what the user gives one role has no other."""
        free: dict[str, list[str]] = {}
        for column in self.present:
            if column not in self.mapped.values():
                free.setdefault(plain_name(column), []).append(column)
        return free

    @property
    def asking(self) -> str:
        """The role of the column that asks: the prompt, unless the user names only messages."""
        named = "messages" in self.mapped and "prompt" not in self.mapped
        return "messages" if named else "prompt"

    def has(self, role: str) -> bool:
        """Whether any column of the table has that role."""
        return any(name in self.present for name in self._names(role))

    def listed(self) -> str:
        """The columns that there are, for messages."""
        return f"its columns: {', '.join(self.present) or 'none'}"

    def missing(self, row: TableRow, what: str) -> InputError:
        """A row that lacks what it needs."""
        right = f"{self.listed()}; 'columns' says which is which where names don't"
        return mistake(row.place, None, "", f"no {what}", right)


def _field(row: TableRow, name: str) -> Field | None:
    value = row.values.get(name)
    blank = value is None or (isinstance(value, str) and not value.strip())
    return None if blank else Field(row.place, name, value)


def columns_of(
    table: Table,
    mapped: Mapping[str, str],
    where: str,
    roles: Sequence[str],
    common: Sequence[str] = (),
) -> Columns:
    """The columns of a table, where only `roles` count of what is mapped.

    One mapping speaks of several files: roles in `common` fall back on the usual names where the mapped
    column isn't in this one. Raises InputError for a column that isn't there, naming those that are.
    """
    usual = Columns({}, table.columns)
    counted: dict[str, str] = {}
    for role, name in mapped.items():
        if role in roles and name in table.columns:
            counted[role] = name
        elif role in roles and not (role in common and usual.has(role)):
            usually = f", or one that is usually called that ({NAMES[role][0]})" * (role in common)
            wrong = f"no column {name!r}, which would be the {role}{usually}"
            raise mistake(f"{where}: {table.name}", None, "", wrong, usual.listed())
    return Columns(counted, table.columns)


def spread(table: Table) -> Table:
    """Rows of Self-Instruct's form, an instruction with instances, as a row for each instance."""
    if not {"instruction", "instances"} <= set(table.columns):
        return table
    rows = tuple(each for row in table.rows for each in _instances(row))
    names = dict.fromkeys((*table.columns, "input", "output"))
    columns = tuple(name for name in names if name != "instances")
    return Table(table.name, columns, rows, table.remarks)


def _instances(row: TableRow) -> Iterator[TableRow]:
    instances = row.values.get("instances")
    if not isinstance(instances, list):
        yield row
        return
    rest = {name: value for name, value in row.values.items() if name != "instances"}
    for number, instance in enumerate(instances, 1):
        place = f"{row.place} instance {number}"
        if not isinstance(instance, dict):
            right = "give an object with input and output"
            raise mistake(place, None, "instances", f"{kind_of(instance)} stands here", right)
        yield TableRow(place, {**rest, **instance})
