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
DISTINGUISHED = "question(s) with an earlier one's stem, letter case and width aside, that ask something else: read"


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
        total = len(self.cases) + self.repeated + self.left_out.get(CONTRADICTED, 0)
        counted = [f"left out: {count:,} {what}" for what, count in self.all_left_out.items()]
        read = [f"{total:,} questions read"] if total > len(self.cases) else []
        return [f"{self.source}: {line}" for line in (*self.remarks, *read, *counted)]

    @property
    def record(self) -> dict[str, object]:
        """The same for a run's record; empty where there is nothing to say."""
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
    alike = sum(bool(case.distinction) for case in first.values())
    said = [f"{alike:,} {DISTINGUISHED}"] if alike else []
    return CaseFile(tuple(first.values()), repeated, source, counted, (*remarks, *said))


def _true(case: Case) -> set[str]:
    return {answer_key(answer) for answer in case.correct_answers}
