"""Event files that TensorBoard reads, without its package.

A file is a row of records (TFRecord framing): length (8 bytes), masked CRC-32C of the length, the
bytes of an `Event` protocol buffer, masked CRC-32C of those. An event with scalars has the fields
1 wall time (double), 2 step (varint), 5 summary, whose values have 1 tag (string), 2 number (float).
"""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), bits reversed


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def _sized(field: int, data: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(data)) + data


def _record(event: bytes) -> bytes:
    length = struct.pack("<Q", len(event))
    return length + _masked_crc(length) + event + _masked_crc(event)


def scalars(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """(tag, number) of every finite number in a row of the log; nested names are joined by '/'."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from scalars(value, f"{prefix}{name}/")
        elif isinstance(value, bool) or not isinstance(value, int | float) or name == "step":
            continue
        elif math.isfinite(value):
            yield f"{prefix}{name}", float(value)


class EventFile:
    """The one event file of a training in a folder. Opening it begins it anew."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self.path = folder / f"events.out.tfevents.{int(time.time())}.truing"
        self._write(_sized(3, b"brain.Event:2"))

    def _write(self, fields: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(_record(b"\x09" + struct.pack("<d", time.time()) + fields))

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds the numbers of a row of the log at its `step`."""
        values = b"".join(
            _sized(1, _sized(1, tag.encode()) + b"\x15" + struct.pack("<f", number))
            for tag, number in scalars(row)
        )
        self._write(b"\x10" + _varint(int(row["step"])) + _sized(5, values))
