"""Which cases of a source ask something new, and what of it isn't used.

Nothing is left out of a source without being counted and said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from truing.types import Case, answer_key

REPEATED = "question(s) that ask again what an earlier one asks"
CONTRADICTED = "question(s) that an earlier one asks with another right answer"
"""What isn't used of a source, by what it is."""


@dataclass(frozen=True)
class CaseFile:
    """The cases of a source in order, and what there is to say of how it was read.

    `repeated` counts rows that ask what an earlier one asks, `left_out` other things that aren't used,
    by what they are; `remarks` are whole sentences.
    """

    cases: tuple[Case, ...]
    repeated: int
    source: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def all_left_out(self) -> dict[str, int]:
        """Everything of the source that isn't used, by what it is."""
        repeated = {REPEATED: self.repeated} if self.repeated else {}
        return {**repeated, **self.left_out}

    def with_repeated(self, more: int) -> CaseFile:
        """The same where further rows ask again what is asked here."""
        return replace(self, repeated=self.repeated + more)

    @property
    def lines(self) -> list[str]:
        """What the user is told: a line for each thing."""
        dropped = self.repeated + self.left_out.get(CONTRADICTED, 0)
        alike = sum(bool(case.distinction) for case in self.cases)
        counted = [f"left out: {count:,} {what}" for what, count in self.all_left_out.items()]
        if dropped:
            counted = [f"{len(self.cases) + dropped:,} questions read", *counted]
        if alike:
            counted.append(
                f"{alike:,} question(s) have an earlier one's stem, letter case and width aside, and ask "
                "something else"
            )
        return [f"{self.source}: {line}" for line in (*self.remarks, *counted)]

    @property
    def record(self) -> dict[str, object]:
        """What isn't used and how the source was read, for a run's record; empty where all is plain."""
        parts = {"left_out": self.all_left_out, "remarks": list(self.remarks)}
        return {name: value for name, value in parts.items() if value}


def distinct_cases(
    cases: Iterable[Case],
    source: str,
    left_out: Mapping[str, int] | None = None,
    remarks: Sequence[str] = (),
) -> CaseFile:
    """The cases that ask something new, in order; no two have one id.

    What shares its split key with an earlier case and asks something else gets a distinction.
    """
    first: dict[str, Case] = {}
    ids: set[str] = set()
    dropped: Counter[str] = Counter()
    for case in cases:
        key = case.question_key
        if key in first:
            differ = bool(case.incorrect_answers) and _true(case) != _true(first[key])
            dropped[CONTRADICTED if differ else REPEATED] += 1
            continue
        first[key] = replace(case, distinction=key[:16]) if case.id in ids else case
        ids.add(first[key].id)
    repeated = dropped.pop(REPEATED, 0)
    counted = dict(Counter(left_out or {}) + dropped)
    return CaseFile(tuple(first.values()), repeated, source, counted, tuple(remarks))


def _true(case: Case) -> set[str]:
    return {answer_key(answer) for answer in case.correct_answers}
