"""Rule by context: what became of a candidate's answers in each cell, and whether the cell can tell.

Pure functions of rows of the evaluation `rules`; rows without a rule in their detail are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from truing.data.rules import SUCCESSES
from truing.types import Row

LOW, HIGH = 0.1, 0.9
"""A rule that a base keeps in fewer or more of a cell's answers leaves no room to see an effect."""
Measurable = Literal["measurable", "always kept", "never kept", "always or never", "unscored"]
Cell = tuple[str, str]
"""A rule's id and a context's name."""


@dataclass(frozen=True)
class CellOutcomes:
    """How many answers of a cell had each outcome, how many were unscored, and what is expected there."""

    expects: str
    outcomes: Mapping[str, int]
    unscored: int

    @property
    def n(self) -> int:
        """Answers with an outcome."""
        return sum(self.outcomes.values())

    @property
    def share(self) -> float | None:
        """The share that is right: kept, or carried where the rule doesn't bind; None without answers."""
        right = sum(self.outcomes.get(name, 0) for name in SUCCESSES)
        return right / self.n if self.n else None

    @property
    def measurable(self) -> Measurable:
        """Whether an effect could be seen beside this share."""
        if (share := self.share) is None:
            return "unscored"
        if LOW <= share <= HIGH:
            return "measurable"
        return "always kept" if share > HIGH else "never kept"


def cells(rows: Iterable[Row]) -> dict[Cell, CellOutcomes]:
    """The outcomes of one candidate's rows by cell, in the rows' order."""
    counts: dict[Cell, Counter[str]] = defaultdict(Counter)
    unscored: Counter[Cell] = Counter()
    expects: dict[Cell, str] = {}
    for row in rows:
        if row.evaluation != "rules" or "rule" not in row.detail:
            continue
        cell = (str(row.detail["rule"]), str(row.detail["context"]))
        expects.setdefault(cell, str(row.detail["expects"]))
        if (outcome := row.detail.get("outcome")) is None:
            unscored[cell] += 1
        else:
            counts[cell][str(outcome)] += 1
    return {
        cell: CellOutcomes(expected, dict(counts[cell]), unscored[cell])
        for cell, expected in expects.items()
    }


def measurable(base_rows: Iterable[Row]) -> dict[Cell, Measurable]:
    """Whether each cell can show an effect beside the base's answers."""
    return {cell: outcomes.measurable for cell, outcomes in cells(base_rows).items()}


def measurable_rules(base_rows: Iterable[Row]) -> dict[str, Measurable]:
    """The same of each rule: measurable where any of its contexts is, else always kept, never kept, or
    one or the other by context."""
    by_rule: dict[str, set[Measurable]] = defaultdict(set)
    for (rule, _), verdict in measurable(base_rows).items():
        by_rule[rule].add(verdict)
    return {rule: _of_all(verdicts) for rule, verdicts in by_rule.items()}


def _of_all(verdicts: set[Measurable]) -> Measurable:
    if "measurable" in verdicts:
        return "measurable"
    scored = verdicts - {"unscored"}
    if len(scored) == 1:
        return next(iter(scored))
    return "always or never" if scored else "unscored"
