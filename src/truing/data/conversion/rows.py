"""Rows of a benchmark's file: JSONL, a JSON list, CSV, TSV, or SQuAD's JSON. Any of them gzipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.data.delimited import delimited, header_of
from truing.files import NotJSONError, decoded, json_value, read_bytes, read_json_line
from truing.types import InputError

ENDINGS = (".jsonl", ".json", ".csv", ".tsv")


@dataclass(frozen=True)
class SourceRow:
    """One row as it stands in a file; `spot` is `:line`, or the way to it in a JSON file."""

    file: Path
    spot: str
    values: dict[str, Any]

    @property
    def place(self) -> str:
        """File and spot, for messages."""
        return f"{self.file}{self.spot}"

    @property
    def short_place(self) -> str:
        """The same without the folder, to be written down."""
        return f"{self.file.name}{self.spot}"

    def text(self, columns: Sequence[str], what: str) -> str:
        """The text in the first of the columns that the row has. Raises InputError without one."""
        for column in columns:
            if column in self.values:
                return self._as_text(column)
        known = ", ".join(map(str, self.values))
        raise InputError(
            f"{self.place}: no column for {what} ({' or '.join(columns)}); the columns are {known}"
        )

    def _as_text(self, column: str) -> str:
        value = self.values[column]
        if isinstance(value, list | dict):
            kind = "a list" if isinstance(value, list) else "an object"
            raise InputError(f"{self.place}: {column}: holds {kind}; give text or a number")
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value).strip()


def read_rows(path: Path, bad: list[str], remarks: list[str]) -> list[SourceRow]:
    """The rows of a file in order; what is wrong with a line goes to `bad`, and what is to be said of
    how the file was read to `remarks`.

    Raises InputError for a file that can't be read at all, or holds no row.
    """
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending.lower() not in ENDINGS:
        raise InputError(
            f"{path}: the ending {ending!r} is not known; give one of {', '.join(ENDINGS)}"
        )
    data = read_bytes(path)
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise InputError(f"{path}: the file is empty; give one with at least a row")
    if ending.lower() in (".csv", ".tsv"):
        usual = "," if ending.lower() == ".csv" else "\t"
        rows = list(_table(path, data, usual, bad, remarks))
    else:
        rows = list((_jsonl if ending.lower() == ".jsonl" else _json)(path, data, bad))
    if not rows and not bad:
        raise InputError(f"{path}: no row in it")
    return rows


def _jsonl(path: Path, data: bytes, bad: list[str]) -> Iterator[SourceRow]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                record = read_json_line(line)
                if not isinstance(record, dict):
                    raise InputError(f"each line is a JSON object, not {type(record).__name__}")
            except InputError as error:
                bad.append(f"{path}:{number}: {error}")
            else:
                yield SourceRow(path, f":{number}", record)


def _table(
    path: Path, data: bytes, usual: str, bad: list[str], remarks: list[str]
) -> Iterator[SourceRow]:
    # Tab-separated benchmarks write quotation marks as they are; in CSV they enclose a cell.
    read = delimited(str(path), decoded(str(path), data), usual, quoted=usual == ",")
    remarks += [f"{path}: {remark}" for remark in read.remarks]
    rows = list(read.rows)
    if not rows:
        return
    header = header_of(str(path), *rows[0], rows[1:])
    for number, cells in rows[1:]:
        if header.fits(cells):
            yield SourceRow(path, f":{number}", dict(header.cells(number, cells)))
        else:
            bad.append(f"{path}:{number}: {header.misfit(cells)}")


def _json(path: Path, data: bytes, bad: list[str]) -> Iterator[SourceRow]:
    try:
        document = json_value(decoded(str(path), data), None)
    except NotJSONError as error:
        place = f"{path}:{error.line}" if error.line else str(path)
        raise InputError(f"{place}: not valid JSON ({error})") from None
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        yield from _squad(path, document["data"], bad)
        return
    if not isinstance(document, list):
        raise InputError(f"{path}: must hold a list of objects, or SQuAD's form with 'data'")
    for number, record in enumerate(document):
        if isinstance(record, dict):
            yield SourceRow(path, f"[{number}]", record)
        else:
            bad.append(f"{path}[{number}]: must be an object, not {type(record).__name__}")


def _squad(path: Path, articles: list[Any], bad: list[str]) -> Iterator[SourceRow]:
    """Questions of a SQuAD file (Rajpurkar et al., 2016; 2018 for unanswerable ones).

    Columns: title, context, question, answer (the first one), answerable (yes or no), id.
    """
    for number, article in enumerate(articles):
        for place, paragraph in _within(article, "paragraphs", f"{path}: data[{number}]", bad):
            for spot, asked in _within(paragraph, "qas", place, bad):
                try:
                    values = _question(paragraph.get("context"), asked)
                except InputError as error:
                    bad.append(f"{spot}: {error}")
                else:
                    title = str(article.get("title") or "")
                    yield SourceRow(path, spot.removeprefix(str(path)), {"title": title, **values})


def _within(
    parent: Any, key: str, where: str, bad: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    children = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(children, list):
        bad.append(f"{where}: must be an object with a list '{key}'")
        return
    for number, child in enumerate(children):
        place = f"{where}.{key}[{number}]"
        if isinstance(child, dict):
            yield place, child
        else:
            bad.append(f"{place}: must be an object, not {type(child).__name__}")


def _question(context: object, asked: dict[str, Any]) -> dict[str, str]:
    question, answers = asked.get("question"), asked.get("answers")
    if not isinstance(context, str) or not isinstance(question, str):
        raise InputError("context and question must be text")
    impossible = asked.get("is_impossible") is True
    answer = ""
    if not impossible:
        first = answers[0] if isinstance(answers, list) and answers else None
        text = first.get("text") if isinstance(first, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise InputError("answers: must be a list of objects with text, the first one the best")
        if text not in context:
            raise InputError(f"answers: {text!r} doesn't stand in the context")
        answer = text
    return {
        "context": context,
        "question": question,
        "answer": answer,
        "answerable": "no" if impossible else "yes",
        "id": str(asked.get("id") or ""),
    }
