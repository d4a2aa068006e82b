"""Costs and counts as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from truing.report.metrics import DASH

COST_COLUMNS = (
    ("cpu_seconds", "CPU time"),
    ("wall_seconds", "Time"),
    ("peak_memory_bytes", "Peak memory"),
    ("labels", "Labels used"),
    ("tokens_sampled", "Tokens sampled"),
    ("tokens_trained", "Tokens trained"),
)


def duration(seconds: float) -> str:
    """'0.4 s', '42 s', '3 min 05 s', '2 h 10 min'."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def memory(count: float) -> str:
    """Bytes in units of 1000, as disks and drives are sold and `make` targets are stated."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.{2 if unit == 'GB' else 0}f} {unit}"
    return f"{count:.0f} B"


def count(number: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{round(number):,}".replace(",", "\u202f")


def quantity(value: Any) -> str:
    """Any JSON value in a cell: a figure, or its text, or a dash."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return f"{value:.3f}".replace("-", "−")
    return str(value)


def cost_cells(costs: Mapping[str, Any]) -> list[str]:
    """One candidate's costs in the order of COST_COLUMNS."""
    cells = []
    for key, _ in COST_COLUMNS:
        value = costs.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool):
            cells.append(DASH)
        elif key.endswith("seconds"):
            cells.append(duration(value))
        elif key.endswith("bytes"):
            cells.append(memory(value))
        else:
            cells.append(count(value))
    return cells


def costs_table(accounts: Mapping[str, Any]) -> dict[str, Any]:
    """The titles of COST_COLUMNS, and (account, cells) of every account of a run."""
    rows = [(name, cost_cells(of)) for name, of in accounts.items() if isinstance(of, dict)]
    return {"columns": [title for _, title in COST_COLUMNS], "rows": rows}
