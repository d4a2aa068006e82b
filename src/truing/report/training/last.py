"""How a training stood at its end: means of the last steps' figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TypedDict

from truing.report.curves import Log, series
from truing.report.metrics import DASH
from truing.report.quantities import quantity

ENDS = 5
"""Steps at either end of a log whose means are taken."""
_SHOWN = ("reward", "loss_per_token", "loss", "accuracy", "margin", "kl", "length", "entropy")
_INSTEAD = {"loss": "loss_per_token"}
"""What isn't shown where something else is."""


def ends(log: Log, key: str) -> tuple[float, float] | None:
    """The means over the first and the last steps that have a figure; None where there are too few."""
    values = [value for _, value in series(log, key)]
    if len(values) < 2 * ENDS:
        return None
    return fmean(values[:ENDS]), fmean(values[-ENDS:])


def last_means(log: Log) -> dict[str, float]:
    """The mean of each figure over the last steps."""
    known = {key: [value for _, value in series(log, key)][-ENDS:] for key in _SHOWN}
    means = {key: fmean(values) for key, values in known.items() if values}
    return {key: mean for key, mean in means.items() if _INSTEAD.get(key) not in means}


class LastTable(TypedDict):
    """A row for each training: its name, and a cell for each column."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def last_table(named: Sequence[tuple[str, Mapping[int, Log]]]) -> LastTable:
    """A row for each name, and for each of its seeds where there are several: the steps, and the means."""
    logs = [
        (f"{name}, seed {seed}" if len(of) > 1 else name, log)
        for name, of in named
        for seed, log in of.items()
        if log
    ]
    means = [last_means(log) for _, log in logs]
    keys = [key for key in _SHOWN if any(key in each for each in means)]
    rows = [
        (
            name,
            [
                quantity(log[-1]["step"]),
                *(quantity(each[key]) if key in each else DASH for key in keys),
            ],
        )
        for (name, log), each in zip(logs, means, strict=True)
    ]
    return {"columns": ["Steps", *(key.replace("_", " ") for key in keys)], "rows": rows}
