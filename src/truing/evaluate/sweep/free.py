"""Free answers in a sweep: asked for while a candidate is loaded, judged when all have answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from truing.evaluate.sweep.free_answers import FreeAnswers
from truing.judges.built_in import Judges
from truing.judges.graded import JUDGED, GradedAnswer, corrected, graded
from truing.judges.grading import Grader
from truing.judges.reader import open_reader
from truing.judges.trained import load_judges
from truing.models.memo.answers import Answer
from truing.progress import Progress
from truing.spec.run import JudgeSpec, Spec
from truing.types import Case, Estimate, Row, Unscored

FREELY = "truthfulness"
"""The evaluation whose questions are answered freely: judges know what is true of them."""


@dataclass
class Free:
    """What candidates said under prompts, and what judges make of it."""

    answers: dict[tuple[str, str], FreeAnswers] = field(default_factory=dict)
    judge: str = "built-in"
    grader: Grader | None = None
    judged_means: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Which judges, their agreement with labels, and the means of their grades, uncorrected."""
        agreement = self.grader.agreement if self.grader else {}
        return {
            "judge": self.judge,
            "agreement": {name: found.to_json() for name, found in agreement.items()},
            "judged_means": self.judged_means,
            "answers_generated": sum(found.computed for found in self.answers.values()),
        }

    def load(
        self,
        folder: Path | None,
        cases: Sequence[Case],
        progress: Progress,
        *,
        accept_licence: bool,
    ) -> None:
        """Trained judges from a folder, or the built-in ones, fitted to the references of `cases`.

        Raises InputError where the folder holds none, or the cases are too few to fit any.
        """
        if folder is not None:
            self.judge = str(folder)
            self.grader = load_judges(folder, progress, accept_licence=accept_licence)
            return
        dtype = JudgeSpec().dtype
        reader = open_reader(default_model(), dtype, progress, accept_licence=accept_licence)
        progress.note(f"Fitting the built-in judges to {len(cases)} questions ...")
        self.grader = Judges(cases, reader)

    def judged(
        self, rows: Sequence[Row], cases: Sequence[Case], prompt: str, seed: int
    ) -> tuple[list[Row], dict[str, Estimate]]:
        """The rows of one candidate and prompt with answers and grades, and the corrected shares."""
        assert self.grader is not None
        candidate = rows[0].candidate
        answers = self.answers[candidate, prompt].answers
        grades = graded(self.grader, cases, answers)
        with_grades = [
            replace(
                row,
                metrics={**row.metrics, **grade.metrics},
                detail={**row.detail, **_said(answer), "certain": grade.certain},
            )
            for row, answer, grade in zip(rows, answers, grades, strict=True)
        ]
        self.judged_means.setdefault(candidate, {})[prompt] = _means(grades)
        return with_grades, corrected(self.grader, grades, seed)


def default_model() -> str:
    """The model that reads answers for the built-in judges."""
    name: str = Spec.model_fields["model"].default
    return name


def _said(answer: Answer | Unscored) -> dict[str, Any]:
    if isinstance(answer, Unscored):
        return {"answer": None, "finished": None}
    return {"answer": answer.text, "finished": answer.finished}


def _means(grades: Sequence[GradedAnswer]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for metric in JUDGED:
        scores = [s for g in grades if not isinstance(s := g.metrics[metric], Unscored)]
        found[metric] = sum(scores) / len(scores) if scores else None
    return found
