"""What `truing data convert` says: a table of templates and labels, and what to look at twice."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from truing.data.conversion.convert import UNKNOWN, Converted


def table(done: Converted) -> Table:
    """Demonstrations by template (down) and label (across)."""
    counts = done.counts()
    labels = sorted({label for row in counts.values() for label in row})
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    shown.add_column("template", header_style="dim")
    for label in labels:
        shown.add_column(Text(label or "all"), justify="right", header_style="bold")
    if len(labels) > 1:
        shown.add_column("all", justify="right", header_style="dim")
    for name, row in counts.items():
        cells = [str(row.get(label, 0)) for label in labels]
        total = [str(sum(row.values()))] if len(labels) > 1 else []
        shown.add_row(Text(name), *cells, *total)
    return shown


def notes(done: Converted) -> Iterator[str]:
    """One line for everything that was left out or isn't known."""
    yield from done.remarks
    for line in done.bad_lines:
        yield f"Left out: {line}"
    if done.repeated:
        yield f"Left out: {done.repeated} row(s) that repeat an earlier one"
    if done.unseen_labels:
        yield (
            f"Note: no row has the label {', '.join(done.unseen_labels)}; is {done.task!r} the right "
            "task for this file?"
        )
    if done.licence == UNKNOWN:
        yield "Note: no licence said; every line says 'unknown'. Say it with --licence"
