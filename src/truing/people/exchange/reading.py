"""The records of a data file, whatever holds them: JSONL, a JSON list, CSV, TSV, Parquet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from truing.data.tables import read_table
from truing.files import one_of_each, read_bytes, read_json_line, refuse_constant
from truing.types import InputError


@dataclass(frozen=True)
class Found:
    """A record and where it stands (`file:line`), or, in place of the record, what is wrong there."""

    where: str
    record: Any = None
    mistake: str = ""


def _bytes(path: Path) -> bytes:
    return read_bytes(path).removeprefix(b"\xef\xbb\xbf")


def _lines(path: Path) -> Iterator[Found]:
    for number, line in enumerate(_bytes(path).split(b"\n"), start=1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                yield Found(where, read_json_line(line))
            except InputError as error:
                yield Found(where, mistake=str(error))


def _listed(path: Path) -> Iterator[Found]:
    """A JSON file: a list of records. A mistake in its syntax spoils the whole file."""
    content = _bytes(path)
    try:
        records = json.loads(
            content.decode("utf-8"),
            parse_constant=refuse_constant,
            object_pairs_hook=one_of_each,
        )
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise InputError(f"{path}:{line}: not valid UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}:{error.lineno}: not valid JSON ({error.msg}); a .json file is a list of objects; "
            "with one object a line, name it .jsonl"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(records, list):
        raise InputError(f"{path}: a .json file is a list of objects, not {type(records).__name__}")
    for number, record in enumerate(records, start=1):
        yield Found(f"{path}: record {number}", record)


def without_nulls(value: Any) -> Any:
    """A Parquet value as JSON would have it: fields that are null in this row are left out."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def _rows(path: Path) -> Iterator[Found]:
    import pyarrow as pa  # here, so that the page starts without it
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield Found(f"{path}: row {number}", without_nulls(row))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, pa.ArrowException) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{path}: can't be read as Parquet ({said})") from None


_NUMBERS = ("rating", "weight", "seconds", "lead_time")
_TRUTHS = {"true": True, "false": False}
_STRUCTURED = (
    "completions",
    "ranks",
    "groups",
    "instances",
    "metadata",
    "unsure",
    "written",
    "rating",
    "use_case",
)


def _cell(name: str, text: str) -> Any:
    """A cell as JSON would have it: columns that must hold numbers, truth values, lists or objects."""
    if name in _NUMBERS and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", text):
        number = float(text)
        return int(number) if number.is_integer() else number
    if name == "label":
        return _TRUTHS.get(text.strip().lower(), text)
    return _structure(name, text) if text.lstrip().startswith(("[", "{")) else text


def _structure(name: str, text: str) -> Any:
    """A list or an object where the column holds such; any other cell is text, brackets or not."""
    repeated: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        try:
            return one_of_each(pairs)
        except ValueError as error:  # a mistake, unless the cell turns out to be text
            repeated.append(str(error))
            return dict(pairs)

    try:
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=noted)
    except (ValueError, RecursionError):
        return text
    if name not in _STRUCTURED and not _is_conversation(value):
        return text
    if repeated:
        raise InputError(f"{name}: {repeated[0]}")
    return value


def _is_conversation(value: object) -> bool:
    keys = ({"role", "content"}, {"from", "value"})
    return isinstance(value, list) and all(
        isinstance(each, dict) and any(names <= each.keys() for names in keys) for each in value
    )


def _delimited(path: Path) -> Iterator[Found]:
    """Rows of CSV or TSV; an empty cell is no value."""
    for row in read_table(str(path), "FILE").rows:
        texts = {name: text for name, text in row.values.items() if str(text).strip()}
        try:
            record = {name: _cell(name, str(text)) for name, text in texts.items()}
        except InputError as error:
            yield Found(row.place, mistake=str(error))
        else:
            yield Found(row.place, record)


_READERS = {
    ".jsonl": _lines,
    ".json": _listed,
    ".csv": _delimited,
    ".tsv": _delimited,
    ".parquet": _rows,
}
ENDINGS = tuple(_READERS)
"""What files may end in; those of text may be gzipped (.jsonl.gz)."""


def found_in(path: Path) -> Iterator[Found]:
    """The records of a file in order, good and bad. Its ending says what it is; others are JSONL.

    Raises InputError where the file as a whole can't be read.
    """
    ending = path.suffix.lower()
    if ending == ".gz":
        ending = path.with_suffix("").suffix.lower()
    if ending in _READERS:
        yield from _READERS[ending](path)
        return
    for each in _lines(path):
        hint = f"; {path.name} was read as JSONL, for it ends in none of {', '.join(ENDINGS)}"
        yield replace(each, mistake=each.mistake + hint) if each.mistake else each
