"""The judges of free answers in a sweep, and the means of their grades as they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from truing.judges.built_in import Judges
from truing.judges.graded import CALIBRATED_BY, JUDGED
from truing.judges.grading import Grader
from truing.judges.reader import open_reader
from truing.judges.served import ServedJudges, measured, served_judges, tells_nothing
from truing.judges.served_folder import is_served_folder, load_served
from truing.judges.served_labels import reference_sample
from truing.judges.trained import load_judges
from truing.progress import Progress
from truing.spec.rubric import AskedEndpoint
from truing.spec.run import JudgeSpec, Spec
from truing.types import Case, Row, Unscored

_CALLED = {"both": "truth and informativeness together"}


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
        served = self.served
        of_each = {each.name: each.to_json() for each in served.summaries} if served else {}
        return {
            "judge": self.judge,
            **({"held_against": served.source, "served": of_each} if served else {}),
            "agreement": {name: found.to_json() for name, found in agreement.items()},
            "judged_means": self.judged_means,
            **({"unscored": reasons} if (reasons := self.uncorrectable) else {}),
            "answers_generated": self.generated,
        }

    @property
    def uncorrectable(self) -> dict[str, str]:
        """Why the shares of a metric are unscored: its judge can't tell good labelled answers from bad."""
        calibration = self.grader.calibration if self.grader else {}
        reasons = {
            metric: tells_nothing(_CALLED.get(name, name), calibration[name])
            for metric, name in CALIBRATED_BY.items()
            if name in calibration
        }
        return {metric: reason for metric, reason in reasons.items() if reason}

    @property
    def served(self) -> ServedJudges | None:
        """The judges, where they are behind an endpoint."""
        return self.grader if isinstance(self.grader, ServedJudges) else None

    def ask(
        self,
        asked: AskedEndpoint,
        rubrics: Sequence[str],
        cases: Sequence[Case],
        progress: Progress,
        *,
        seed: int,
    ) -> None:
        """Judges behind an endpoint, held against the references of `cases`.

        Raises InputError where it can't be asked, doesn't grade, or the cases have too few references.
        """
        self.judge = str(asked.endpoint)
        judges = served_judges(asked, rubrics, "--judge", progress, seed=seed)
        sample = reference_sample(cases, seed)
        progress.note(f"Holding the judge {self.judge} against {sample.source} ...")
        self.grader = measured(judges, sample, "--judge")
        self._warn(progress)

    def _warn(self, progress: Progress) -> None:
        for name, calibration in self.judges().calibration.items():
            if name != "both" and (warning := tells_nothing(name, calibration)):
                progress.note(f"Warning: {warning}")

    def load(
        self,
        folder: Path | None,
        cases: Sequence[Case],
        progress: Progress,
        *,
        accept_licence: bool,
        key_variable: str | None = None,
    ) -> None:
        """Judges from a folder, or the built-in ones, fitted to the references of `cases`.

        Raises InputError where the folder holds none, or the cases are too few to fit any.
        """
        if folder is not None:
            self.judge = str(folder)
            if is_served_folder(folder):
                self.grader = load_served(folder, progress, key_variable=key_variable)
                self._warn(progress)
            else:
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
