"""What the table of answers on a page holds: columns, cases, and each answer with what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from truing.report.outcomes import Verdict

MOST_COLUMNS = 8
"""With more columns than this a case has one figure, how many accepted, in place of a mark for each."""
_MARKUP = 260  # bytes around an answer and around a case, about


@dataclass(frozen=True)
class GivenAnswer:
    """One answer: who gave it, what became of it, its grades.

    `text` is None where there is none, and `remarks` says why.
    """

    column: str
    speaker: str
    text: str | None
    verdict: Verdict
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class AnsweredCase:
    """A case with every answer to it. `verdicts` has one for each column, None where it wasn't asked."""

    prompt: str
    evaluation: str
    kind: str
    """What decides, where an evaluation asks for several things: 'Twins done'; else empty."""
    category: str
    references: tuple[tuple[str, str], ...]
    answers: tuple[GivenAnswer, ...]
    verdicts: tuple[Verdict | None, ...]

    @property
    def accepted(self) -> int:
        """How many columns had the case accepted."""
        return self.verdicts.count("good")

    @property
    def asked(self) -> int:
        """How many columns were asked."""
        return sum(verdict is not None for verdict in self.verdicts)

    @property
    def size(self) -> int:
        """About how many bytes of a page it takes."""
        texts = [
            self.prompt,
            self.evaluation,
            self.category,
            *(text for _, text in self.references),
        ]
        for answer in self.answers:
            texts += [answer.speaker, answer.text or "", *answer.remarks]
        return sum(len(text.encode("utf-8", "replace")) for text in texts) + _MARKUP * (
            1 + len(self.answers)
        )


@dataclass(frozen=True)
class AnswerTable:
    """All cases under their columns. `left_out` counts cases for which the page has no room; `preferred`
    says that those with differences had room first."""

    columns: tuple[str, ...]
    cases: tuple[AnsweredCase, ...]
    left_out: int = 0
    legend: tuple[tuple[str, str], ...] = ()
    """(evaluation, what a tick says of it)"""
    preferred: bool = False

    @property
    def answers(self) -> int:
        """How many answers stand in the table."""
        return sum(len(case.answers) for case in self.cases)

    @property
    def evaluations(self) -> tuple[str, ...]:
        """The evaluations that asked, in order."""
        return tuple(dict.fromkeys(case.evaluation for case in self.cases))

    @property
    def categories(self) -> tuple[str, ...]:
        """The cases' categories, by name."""
        return tuple(sorted({case.category for case in self.cases if case.category}))

    @property
    def accepted(self) -> tuple[tuple[int, int], ...]:
        """For each column, how many cases were accepted, and how many had a verdict of yes or no."""
        each = [[case.verdicts[place] for case in self.cases] for place in range(len(self.columns))]
        return tuple((v.count("good"), v.count("good") + v.count("bad")) for v in each)

    @property
    def abreast(self) -> bool:
        """Whether each column has its marks in a column of its own."""
        return len(self.columns) <= MOST_COLUMNS
