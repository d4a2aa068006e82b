"""The heat table of rules: for each candidate a rule a line, a context a column, as plain data.

A cell has the share of right answers as its shade, the split of its outcomes as a thin bar, and a mark
where its difference to base is beyond noise. With fewer than FEW items in common there is no mark: a
bootstrap of three that all changed would claim a certainty that isn't there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from truing.data.rules import SUCCESSES
from truing.report.measured import BASE
from truing.report.metrics import DASH, mark, moved, number
from truing.report.rule_cells import (
    Cell,
    CellOutcomes,
    Measurable,
    cells,
    measurable,
    measurable_rules,
)
from truing.statistics.means import mean, paired_difference
from truing.types import Row

FEW = 6
"""Items that a cell has in common with base, below which nothing is marked."""
SPLIT = {
    "kept": "right",
    "carried": "right",
    "broken": "wrong",
    "dropped": "over",
    "not done": "undone",
    "empty": "undone",
}
"""The part of the bar that an outcome is in, by the style sheet's class."""
PARTS = ("right", "wrong", "over", "undone")


@dataclass(frozen=True)
class HeatCell:
    """What one cell shows. `shade` is the share of right answers in percent, None without answers; `bar`
    has the widths of its parts in percent; `hint` says it all in words."""

    text: str
    shade: int | None = None
    mark: str = ""
    effect: str = ""
    bar: tuple[tuple[str, float], ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class HeatLine:
    """A rule with its cells, one for each context. `note` says that nothing can be seen of it, because
    base always or never keeps it; it is empty where an effect could show."""

    rule: str
    cells: tuple[HeatCell, ...]
    note: str = ""


@dataclass(frozen=True)
class HeatTable:
    """One candidate's table."""

    candidate: str
    contexts: tuple[str, ...]
    lines: tuple[HeatLine, ...]


def rule_heat(rows: Sequence[Row], names: Sequence[str]) -> list[HeatTable]:
    """A table for each candidate that has rows of the evaluation `rules`, base first."""
    of_rules = [row for row in rows if row.evaluation == "rules" and "rule" in row.detail]
    by_name = {name: [row for row in of_rules if row.candidate == name] for name in names}
    layout = cells(of_rules)
    contexts = tuple(dict.fromkeys(context for _, context in layout))
    rules = tuple(dict.fromkeys(rule for rule, _ in layout))
    of_base = by_name.get(BASE, [])
    known, base, verdicts = measurable(of_base), _right(of_base), measurable_rules(of_base)
    tables = []
    for name, own in by_name.items():
        if not own:
            continue
        outcomes, right = cells(own), _right(own)
        lines = tuple(
            HeatLine(
                rule,
                tuple(
                    _cell(
                        outcomes.get((rule, context)),
                        known.get((rule, context)),
                        right.get((rule, context), {}),
                        {} if name == BASE else base.get((rule, context), {}),
                    )
                    for context in contexts
                ),
                "" if (verdict := verdicts.get(rule, "measurable")) == "measurable" else verdict,
            )
            for rule in rules
        )
        tables.append(HeatTable(name, contexts, lines))
    return tables


def _right(rows: Iterable[Row]) -> dict[Cell, dict[str, float]]:
    """Whether each case of a cell was answered rightly, the mean over seeds; unscored ones left out."""
    scores: dict[Cell, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if (outcome := row.detail.get("outcome")) is not None:
            cell = (str(row.detail["rule"]), str(row.detail["context"]))
            scores[cell][row.case].append(float(outcome in SUCCESSES))
    return {
        cell: {case: sum(each) / len(each) for case, each in by_case.items()}
        for cell, by_case in scores.items()
    }


def _cell(
    outcomes: CellOutcomes | None,
    known: Measurable | None,
    ours: Mapping[str, float],
    base: Mapping[str, float],
) -> HeatCell:
    if outcomes is None:
        return HeatCell("")
    share = outcomes.share
    if share is None:
        return HeatCell(DASH, hint=f"{outcomes.unscored} answers, none scored")
    difference = None
    if len(ours.keys() & base.keys()) >= FEW:
        difference = paired_difference(ours, base)
    direction = moved(difference)
    return HeatCell(
        f"{share:.2f}",
        round(100 * share),
        mark(difference),
        {1: "gain", -1: "loss"}.get(direction, ""),
        _bar(outcomes),
        _hint(outcomes, known, ours),
    )


def _bar(outcomes: CellOutcomes) -> tuple[tuple[str, float], ...]:
    counts = dict.fromkeys(PARTS, 0)
    for name, count in outcomes.outcomes.items():
        counts[SPLIT[name]] += count
    return tuple(
        (part, round(100 * count / outcomes.n, 1)) for part, count in counts.items() if count
    )


def _hint(outcomes: CellOutcomes, known: Measurable | None, ours: Mapping[str, float]) -> str:
    """What is expected, the interval, the outcomes by number, and whether the cell can show anything."""
    interval = mean(list(ours.values()))
    ends = f" [{number(interval.low)}, {number(interval.high)}]" if interval.low is not None else ""
    counted = ", ".join(f"{name} {count}" for name, count in outcomes.outcomes.items())
    parts = [f"{outcomes.expects}{ends}: {counted}"]
    parts += [f"unscored {outcomes.unscored}"] if outcomes.unscored else []
    parts += [f"base: {known}"] if known and known != "measurable" else []
    return "; ".join(parts)
