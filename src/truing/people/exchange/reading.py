"""The records of a data file, whatever holds them: JSONL (plain or gzipped), a JSON list, Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truing.files import read_bytes, read_json_line
from truing.types import InputError


@dataclass(frozen=True)
class Found:
    """A record and where it stands (`file:line`), or, in place of the record, what is wrong there."""

    where: str
    record: Any = None
    mistake: str = ""


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} isn't JSON")


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
        records = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
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


def found_in(path: Path) -> Iterator[Found]:
    """The records of a file in order, good and bad. Its ending says what it is.

    Raises InputError where the file as a whole can't be read.
    """
    read = {".parquet": _rows, ".json": _listed}.get(path.suffix.lower(), _lines)
    return read(path)
