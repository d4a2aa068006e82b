"""Tables in columns on disk: Parquet, Arrow, and folders that the `datasets` library saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from truing.data.drafts import mistake
from truing.data.tables.table import Table, TableRow, json_value, table_of
from truing.files import read_json
from truing.types import InputError

DICT_FILE, STATE_FILE = "dataset_dict.json", "state.json"


def arrow_table(name: str, data: pa.Table) -> Table:
    """Arrow's table as ours. Raises InputError for a column of binary data, or a name that is twice."""
    columns = data.schema.names
    for field in data.schema:
        if columns.count(field.name) > 1:
            raise mistake(name, None, field.name, "this column stands twice", "keep one")
        if _binary(field.type):
            raise mistake(name, None, field.name, "holds binary data", "name text columns")
    return table_of(name, _rows(name, data), columns)


def _rows(name: str, data: pa.Table) -> Iterator[TableRow]:
    number = 0
    for batch in data.to_batches():
        for values in _read(name, "a table of text", batch.to_pylist):
            number += 1
            place = f"{name} row {number}"
            yield TableRow(place, {k: json_value(v, place, k) for k, v in values.items()})


def _binary(kind: pa.DataType) -> bool:
    """Whether values of the type hold bytes, however deep."""
    if isinstance(kind, pa.BaseExtensionType):
        return _binary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _binary(kind.value_type)
    whole = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if any(check(kind) for check in (*whole, pa.types.is_binary_view)):
        return True
    return any(_binary(kind.field(place).type) for place in range(kind.num_fields))


def _read(name: str, form: str, read: Callable[[], Any]) -> Any:
    """What `read` gives; whatever Arrow doesn't like becomes one message."""
    try:
        return read()
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{name}: can't be read as {form} ({reason})") from None


def parquet_table(path: Path) -> Table:
    """The table in a Parquet file."""

    def read() -> pa.Table:
        with pa.parquet.ParquetFile(path) as file:
            return file.read()

    return arrow_table(str(path), _read(str(path), "Parquet", read))


def ipc_table(path: Path) -> Table:
    """The table in a file of Arrow's file form (Feather) or of its stream form."""
    return arrow_table(str(path), _read(str(path), "Arrow", lambda: _ipc(path)))


def _ipc(path: Path) -> pa.Table:
    with pa.OSFile(str(path)) as file:
        whole = file.read(6) == b"ARROW1"
        file.seek(0)
        opened = pa.ipc.open_file(file) if whole else pa.ipc.open_stream(file)
        with opened as reader:
            return reader.read_all()


def saved_table(folder: Path, split: str, source: str) -> Table:
    """What `save_to_disk` of the `datasets` library wrote; `split` chooses from several.

    Raises InputError where the folder isn't such a one, or the split isn't there.
    """
    if (folder / DICT_FILE).is_file():
        folder = folder / _split(folder, split, source)
    elif split:
        wrong = f"holds one table without splits, so that there is no {split!r}"
        raise mistake(source, None, "", wrong, f"leave out #{split}")
    if not (folder / STATE_FILE).is_file():
        wrong = "a folder that the datasets library didn't save"
        raise mistake(source, None, "", wrong, "name a file, or a folder made by save_to_disk")
    parts = [_read(str(path), "Arrow", lambda path=path: _ipc(path)) for path in _parts(folder)]  # type: ignore[misc]
    if not parts:
        raise mistake(source, None, "", "no data file in it", "save it again")
    return arrow_table(source, _read(source, "one table", lambda: pa.concat_tables(parts)))


def _split(folder: Path, split: str, source: str) -> str:
    listed = read_json(folder / DICT_FILE).get("splits")
    splits = [str(name) for name in listed] if isinstance(listed, list) else []
    if split not in splits:
        wrong = f"no split {split!r} in it" if split else "holds several tables (splits)"
        right = f"name one: {', '.join(f'{folder}#{name}' for name in splits)}"
        raise mistake(source, None, "", wrong, right)
    return split


def _parts(folder: Path) -> list[Path]:
    state, file = read_json(folder / STATE_FILE), str(folder / STATE_FILE)
    if state.get("_indices_data_files") or state.get("_indices_files"):
        wrong = "the rows were chosen by an index beside the data"
        raise mistake(file, None, "", wrong, "save it again with datasets 2 or newer")
    entries = state.get("_data_files")
    paths = []
    for entry in entries if isinstance(entries, list) else []:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str) or Path(name).name != name:
            wrong = f"{name!r} is no file in this folder"
            raise mistake(file, None, "_data_files", wrong, "save it again")
        paths.append(folder / name)
    return paths
