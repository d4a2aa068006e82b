"""Whether two runs' figures are of the same cases, so that they can be paired case by case.

They are paired where the evaluation was done alike (the version, the precision, the judges and what else
decides the figure) and both have the same cases, or at least half of the smaller set in common: then the
difference is that of the common cases. Otherwise the two figures are taken for independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from truing.report.compared.runs import ComparedRun, Content, instruments_of
from truing.types import Metric, Row

LEAST_SHARED = 0.5
"""Of the smaller of two sets of cases, how much has to be in both."""


@dataclass(frozen=True)
class SharedCases:
    """Cases of one evaluation and candidate in two runs: those in both, and how many each has.

    `changed` are in both by name, but something else is asked or known.
    """

    both: frozenset[str]
    changed: frozenset[str]
    ours: int
    theirs: int

    @property
    def are_enough(self) -> bool:
        """Whether figures can be paired on what is in both."""
        return len(self.both) >= max(2, LEAST_SHARED * min(self.ours, self.theirs))

    @property
    def sentence(self) -> str:
        """'60 of 85 and 120 cases are in both'; empty where all are."""
        if len(self.both) == self.ours == self.theirs:
            return ""
        changed = f" ({len(self.changed)} more by name, but changed)" if self.changed else ""
        return f"{len(self.both)} of {self.theirs} and {self.ours} cases are in both{changed}"


def cases_in(rows: Iterable[Row], candidate: str, evaluation: str) -> frozenset[str]:
    """The cases that a candidate was asked in an evaluation."""
    return frozenset(
        row.case for row in rows if row.candidate == candidate and row.evaluation == evaluation
    )


def shared_cases(
    run: ComparedRun, reference: ComparedRun, candidate: str, evaluation: str
) -> SharedCases:
    """The cases of an evaluation that both runs have, and that are the same in both."""
    ours = cases_in(run.rows, candidate, evaluation)
    theirs = cases_in(reference.rows, candidate, evaluation)
    changed = frozenset(
        case
        for case in ours & theirs
        if are_other(run.contents.get(case), reference.contents.get(case))
    )
    return SharedCases((ours & theirs) - changed, changed, len(ours), len(theirs))


def are_other(ours: Content | None, theirs: Content | None) -> bool:
    """Whether two cases of one name aren't the same; unknown where they are known from other sources."""
    return ours is not None and theirs is not None and ours[0] == theirs[0] and ours != theirs


def measured_otherwise(run: ComparedRun, reference: ComparedRun, metric: Metric) -> str:
    """What a metric was measured with that isn't the same in both, in words; empty where all is."""
    names = [
        name
        for name in instruments_of(metric)
        if name in run.instruments
        and name in reference.instruments
        and run.instruments[name] != reference.instruments[name]
    ]
    return f"another {', another '.join(names)}" if names else ""
