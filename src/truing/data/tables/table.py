"""What every reader makes of a source: rows by column name, each with the place where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from truing.data.drafts import mistake


@dataclass(frozen=True)
class TableRow:
    """A row's values by column, as JSON could hold them; `place` names it in messages."""

    place: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows in the source's order. `columns`: every name that a row has, in order of appearance.
    `remarks` is what the user is told of how it was read."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    remarks: tuple[str, ...] = ()


def table_of(
    name: str,
    rows: Iterable[TableRow],
    columns: Iterable[str] = (),
    remarks: tuple[str, ...] = (),
) -> Table:
    """The rows as a table; `columns` are those that the source declares, if it does."""
    listed = tuple(rows)
    names = dict.fromkeys(columns)
    for row in listed:
        names |= dict.fromkeys(row.values)
    return Table(name, tuple(names), listed, remarks)


def in_small_letters(table: Table) -> Table:
    """The table with its columns' names in small letters, white space around them left out.

    Raises InputError where two columns have one name then.
    """
    names: dict[str, str] = {}
    for column in table.columns:
        first = names.setdefault(column.strip().lower(), column)
        if first != column:
            wrong = f"is the same column as {first!r} but for capitals and spaces"
            raise mistake(table.name, None, repr(column), wrong, "leave one of the two out")
    rows = (
        TableRow(row.place, {name.strip().lower(): value for name, value in row.values.items()})
        for row in table.rows
    )
    return Table(table.name, tuple(names), tuple(rows), table.remarks)


def json_value(value: Any, place: str, column: str) -> Any:
    """A value from a typed source as JSON could hold it; NaN, which stands for nothing, as null.

    Raises InputError naming row and column for what JSON has no form for.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return _number(value, place, column)
    if isinstance(value, dict):
        return {str(key): json_value(each, place, column) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(each, place, column) for each in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID):
        return str(value)
    wrong = f"holds a {type(value).__name__}"
    raise mistake(place, None, column, wrong, "give texts, numbers, lists or objects")


def _number(value: float, place: str, column: str) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise mistake(place, None, column, "infinite", "give a finite number or nothing")
    return value
