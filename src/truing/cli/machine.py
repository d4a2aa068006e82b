"""The commands about what is on this machine: its models, and whether it is fit for the work.

As in main.py: parses, calls, prints, and imports what a command needs inside it.
"""

from __future__ import annotations

import textwrap
from typing import Any

from truing.cli.common import AsJson, explained, print_json
from truing.terminal import say

_WIDTH = 80


def models(as_json: AsJson = False) -> None:
    """List the models of the catalogue: size, licence, and whether they are on this machine."""
    with explained():
        from truing.models.weights.catalogue import list_models

        listed = list_models()
        if as_json:
            print_json(listed)
            return
        rows = [("name", "parameters", "download", "here", "licence"), *map(_row, listed)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        say(lines[0])
        for line, entry in zip(lines[1:], listed, strict=True):
            say(line)
            say(textwrap.fill(entry["what"], _WIDTH, initial_indent="  ", subsequent_indent="  "))


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    here = f"{entry['size_on_disk'] / 1e6:.0f} MB" if entry["cached"] else "no"
    return (
        entry["name"],
        f"{entry['parameters'] / 1e6:.0f} M",
        f"{entry['download_size'] / 1e6:.0f} MB",
        here,
        entry["licence"],
    )
