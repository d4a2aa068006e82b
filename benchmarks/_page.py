"""Figures written into a page of the documentation, between two comments that name the block."""

from __future__ import annotations

import os
from pathlib import Path

from truing.files import write_text_atomically
from truing.models import processor


def replace_block(page: Path, name: str, lines: list[str]) -> None:
    """Puts lines between `<!-- name: begin -->` and `<!-- name: end -->`; both must be there once."""
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{page}: needs {begin} and {end} once each")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    write_text_atomically(page, "\n".join([before + begin, "", *lines, "", end]) + after)


def machine() -> str:
    """What figures were measured on, in a few words."""
    return f"{processor.name()}, {os.cpu_count()} cores"
