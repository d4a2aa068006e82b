"""Safetensors files that are the same bytes for the same content.

The library writes the entries of the metadata in the order of a hash map, which differs each time.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

from truing.files import write_file_atomically

_METADATA = "__metadata__"


def write_tensors_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Lets `write` make a safetensors file as `write_file_atomically` does, its metadata in order."""

    def ordered(temporary: Path) -> None:
        write(temporary)
        _order_metadata(temporary)

    write_file_atomically(path, ordered)


def _order_metadata(path: Path) -> None:
    # Eight bytes with the header's length, the header as JSON, the tensors: these stay where they are.
    with path.open("r+b") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        if _METADATA not in header:
            return
        header[_METADATA] = dict(sorted(header[_METADATA].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        assert len(text) <= length, "the library writes its header without white space"
        file.seek(8)
        file.write(text.ljust(length))
