"""The judges of free answers in a sweep, and the means of their grades as they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.judges.built_in import Judges
from truing.judges.graded import JUDGED
from truing.judges.grading import Grader
from truing.judges.reader import open_reader
from truing.judges.trained import load_judges
from truing.progress import Progress
from truing.spec.run import JudgeSpec, Spec
from truing.types import Case, Row, Unscored


@dataclass
class OpenEndedGrades:
    """Who judges, and what was made of the answers."""

    judge: str = "built-in"
    grader: Grader | None = None
    judged_means: dict[str, dict[str, dict[str, float | None]]] = field(default_factory=dict)
    generated: int = 0

    def to_json(self) -> dict[str, Any]:
        """Which judges, their agreement with labels, and the means of their grades, uncorrected."""
        agreement = self.grader.agreement if self.grader else {}
        return {
            "judge": self.judge,
            "agreement": {name: found.to_json() for name, found in agreement.items()},
            "judged_means": self.judged_means,
            "answers_generated": self.generated,
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

    def judges(self) -> Grader:
        """The judges, once they are loaded."""
        assert self.grader is not None, "not loaded"
        return self.grader

    def note_means(self, rows: Sequence[Row], prompt: str) -> None:
        """The uncorrected means of one candidate under one prompt."""
        self.judged_means.setdefault(rows[0].candidate, {})[prompt] = {
            metric: _mean(rows, metric) for metric in JUDGED
        }


def default_model() -> str:
    """The model that reads answers for the built-in judges."""
    name: str = Spec.model_fields["model"].default
    return name


def _mean(rows: Sequence[Row], metric: str) -> float | None:
    scores = [s for row in rows if not isinstance(s := row.metrics[metric], Unscored)]
    return sum(scores) / len(scores) if scores else None
