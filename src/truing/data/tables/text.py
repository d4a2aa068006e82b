"""Tables in text files: JSONL, a JSON list, CSV, TSV. Any of them gzipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from truing.data.delimited import delimited, header_of
from truing.data.drafts import mistake
from truing.data.json_kinds import kind_of
from truing.data.question_json import elements, loads
from truing.data.tables.table import Table, TableRow, table_of
from truing.files import decoded, numbered_lines, read_bytes, refuse_constant, unix_line_ends

_OBJECTS = 'give one object for each row, {"column": value, ...}'


def text_table(path: Path, ending: str) -> Table:
    """The table in a text file whose form is `ending`. Raises InputError naming file and line."""
    file = str(path)
    text = decoded(file, read_bytes(path))
    if not text.strip():
        raise mistake(file, None, "", "the file is empty", "give one with at least a row")
    if ending in (".csv", ".tsv"):
        return _delimited(file, text, "," if ending == ".csv" else "\t")
    return table_of(file, (_lines if ending == ".jsonl" else _listed)(file, text))


def _lines(file: str, text: str) -> Iterator[TableRow]:
    hint = "give one object on each line (a file with a list is named .json)"
    for line, content in numbered_lines(text):
        yield _row(file, line, loads(file, line, content, hint, refuse_constant))


def _listed(file: str, text: str) -> Iterator[TableRow]:
    hint = "give a list of objects (a file with one object on each line is named .jsonl)"
    text = unix_line_ends(text)
    value = loads(file, None, text, hint, refuse_constant)
    if not isinstance(value, list):
        raise mistake(file, 1, "", f"{kind_of(value)} where a list belongs", hint)
    for line, record in elements(text):
        yield _row(file, line, record)


def _row(file: str, line: int, record: object) -> TableRow:
    if not isinstance(record, dict):
        raise mistake(file, line, "", f"{kind_of(record)} where an object belongs", _OBJECTS)
    return TableRow(f"{file}:{line}", record)


def _delimited(file: str, text: str, usual: str) -> Table:
    read = delimited(file, text, usual)
    rows = list(read.rows)
    if not rows:
        raise mistake(file, None, "", "the file is empty", "give one with at least a row")
    line, cells = rows[0]
    header = header_of(file, line, cells, rows[1:])
    listed = [TableRow(f"{file}:{n}", dict(header.cells(n, row))) for n, row in rows[1:]]
    return table_of(file, listed, header.names.values(), read.remarks)
