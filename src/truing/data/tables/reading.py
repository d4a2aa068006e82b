"""From the name of a source to its table. Nothing is fetched unless the name begins with `hub:`."""

from __future__ import annotations

from pathlib import Path

from truing.data.drafts import mistake
from truing.data.tables.hub import PREFIX, hub_table
from truing.data.tables.table import Table
from truing.data.tables.text import text_table

TEXT = (".jsonl", ".json", ".csv", ".tsv")
ARROW = (".arrow", ".feather")
ENDINGS = (*TEXT, ".parquet", *ARROW)
"""What files may end in; those of text may be gzipped (.jsonl.gz)."""
_RIGHT = (
    f"give a file ending in {', '.join(ENDINGS)}, a folder saved by the datasets library "
    "(folder#split), or hub:org/name#split"
)


def read_table(source: str, where: str) -> Table:
    """The table that `source` names: a file, a folder saved by `datasets`, or `hub:...`.

    `where` is the field that names it. Raises InputError at the first mistake, naming the line or row.
    """
    if source.startswith(PREFIX):
        return hub_table(source, where)
    path, split = _located(source)
    if path.is_dir():
        from truing.data.tables.arrow import saved_table  # here: pyarrow takes a while to load

        return saved_table(path, split, source)
    place = f"{where}: {source}"
    if not path.is_file():
        raise mistake(place, None, "", "no such file", _RIGHT)
    if split:
        wrong = "a file holds one table"
        raise mistake(place, None, "", wrong, f"leave out #{split}, or name a saved folder")
    return _of_file(path, place)


def _located(source: str) -> tuple[Path, str]:
    """The path and, behind a '#' that isn't part of it, the split."""
    path = Path(source).expanduser()
    before, mark, split = source.rpartition("#")
    if not mark or path.exists():
        return path, ""
    return Path(before).expanduser(), split


def _of_file(path: Path, place: str) -> Table:
    packed = path.suffix.lower() == ".gz"
    ending = (path.with_suffix("") if packed else path).suffix.lower()
    if ending not in (TEXT if packed else ENDINGS):
        wrong = f"the ending {path.suffix!r} is not known" if path.suffix else "no ending"
        raise mistake(place, None, "", wrong, _RIGHT)
    if ending in TEXT:
        return text_table(path, ending)
    from truing.data.tables.arrow import ipc_table, parquet_table

    return parquet_table(path) if ending == ".parquet" else ipc_table(path)
