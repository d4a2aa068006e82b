"""Results by category on the report's page: a figure and a table."""

from __future__ import annotations

from typing import Any

from truing.report import categories
from truing.report.metrics import interval, number
from truing.report.summary import Summary
from truing.report.svg import palette
from truing.types import Estimate


def categories_section(summary: Summary) -> dict[str, Any]:
    """The figure, in which small categories stand together, and the table, in which each stands."""
    known = {
        case: str(entry.get("category") or "") for case, entry in summary.run.questions().items()
    }
    of_case = {row.case: row.category for row in summary.rows if row.category} | known
    measured, names = summary.measured, summary.measured.names
    metrics = [m for m in measured.task.of(measured.task.headline[:2]) if m.least == 0]
    scores = categories.category_scores(measured, of_case, metrics)
    first = metrics[0] if metrics else None
    entries = categories.category_figures(
        scores, first.key if first else "", better=first.better if first else 1
    )
    columns = [m for m in metrics if any(m.key in entry.means for entry in entries)]
    table = [
        (
            entry.category,
            entry.n,
            [_with_interval(entry.means.get(m.key, {}).get(n)) for m in columns for n in names],
        )
        for entry in entries
    ]
    titles = {metric.key: metric.label for metric in columns}
    shown = categories.small_together(scores, entries)
    return {
        "figure": categories.category_dots(shown, names, titles, palette(names)),
        "metrics": list(titles.values()),
        "table": table,
        "few": categories.FEW if len(shown) < len(entries) else 0,
    }


def _with_interval(mean: Estimate | None) -> tuple[str, str]:
    return (number(None), "") if mean is None else (number(mean.value), interval(mean))
