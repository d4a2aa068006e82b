"""Tables in text files: JSONL, a JSON list, CSV, TSV. Any of them gzipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path

from truing.data.drafts import mistake, utf8_text
from truing.data.question_csv import numbered_rows
from truing.data.question_json import elements, kind_of, loads
from truing.data.tables.table import Table, TableRow, table_of
from truing.files import read_bytes

_OBJECTS = 'give objects like {"prompt": "..."}'


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} isn't JSON")


def text_table(path: Path, ending: str) -> Table:
    """The table in a text file whose form is `ending`. Raises InputError naming file and line."""
    file = str(path)
    text = utf8_text(file, read_bytes(path))
    if not text.strip():
        raise mistake(file, None, "", "the file is empty", "give one with at least a row")
    if ending in (".csv", ".tsv"):
        return _delimited(file, text, "," if ending == ".csv" else "\t")
    return table_of(file, (_lines if ending == ".jsonl" else _listed)(file, text))


def _lines(file: str, text: str) -> Iterator[TableRow]:
    hint = "give one object on each line (a file with a list is named .json)"
    # Not splitlines: a text may hold a Unicode line separator, which JSON needn't escape.
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            yield _row(file, line, loads(file, line, content, hint, _refuse_constant))


def _listed(file: str, text: str) -> Iterator[TableRow]:
    hint = "give a list of objects (a file with one object on each line is named .jsonl)"
    value = loads(file, None, text, hint, _refuse_constant)
    if not isinstance(value, list):
        raise mistake(file, 1, "", f"{kind_of(value)} where a list belongs", hint)
    for line, record in elements(text):
        yield _row(file, line, record)


def _row(file: str, line: int, record: object) -> TableRow:
    if not isinstance(record, dict):
        raise mistake(file, line, "", f"{kind_of(record)} where an object belongs", _OBJECTS)
    return TableRow(f"{file}:{line}", record)


def _delimited(file: str, text: str, delimiter: str) -> Table:
    rows = numbered_rows(file, text, delimiter)
    line, cells = next(rows)
    names = _header(file, line, cells)
    named = {position: name for position, name in enumerate(names) if name}
    read = []
    for begins, row in rows:
        values = _cells(file, begins, row, len(names))
        read.append(TableRow(f"{file}:{begins}", {n: values[p] for p, n in named.items()}))
    return table_of(file, read, named.values())


def _header(file: str, line: int, cells: Sequence[str]) -> list[str]:
    """The columns' names up to the last that has one: a spreadsheet writes empty ones behind it.

    The first may be nameless: that is how pandas writes the numbers of rows, which are left out.
    """
    names = [cell.strip() for cell in cells]
    names = list(dropwhile(lambda name: not name, reversed(names)))[::-1]
    for separator, right in ((";", "separate them by commas"), ("\t", "name the file .tsv")):
        if len(names) == 1 and separator in names[0]:
            raise mistake(file, line, "", f"columns are separated by {separator!r}", right)
    if "" in names[1:]:
        wrong = f"column {names.index('', 1) + 1} has no name"
        raise mistake(file, line, "", wrong, "give each column a name")
    for name in names:
        if names.count(name) > 1:
            raise mistake(file, line, name, "this column stands twice", "keep one")
    return names


def _cells(file: str, line: int, row: Sequence[str], width: int) -> Sequence[str]:
    if len(row) < width or any(cell.strip() for cell in row[width:]):
        wrong = f"{len(row)} cells where the header has {width}"
        right = "put cells that hold a separator or a line break in double quotes"
        raise mistake(file, line, "", wrong, right)
    return row
