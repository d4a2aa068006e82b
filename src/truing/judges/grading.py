"""What judges say and how far they can be trusted: grades, agreement with labels, folds of questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from truing.judges.correction import Calibration
from truing.models.features import Features
from truing.statistics.calibration import calibration_error
from truing.types import Case, Score, Unscored, normalised, stable_hash

FOLDS = 5
Labels = NDArray[np.int64]
EMPTY = Unscored("empty answer")


@dataclass(frozen=True)
class Grade:
    """Probabilities that an answer is true and that it is informative."""

    true: Score
    informative: Score


@dataclass(frozen=True)
class JudgeAgreement:
    """How a judge does on labelled answers of questions it was not fitted to, beside baselines.

    `majority`: always the commoner label. `rouge`: nearer to a true or to a false reference by
    ROUGE-1 (truth only). `calibration_error`: expected calibration error over ten equal bins.
    `questions_left_out`: those without enough references to be labelled. Of a judge behind an endpoint,
    `order_changed` is the share of grades that the order of the scale changed, and `unread` how many
    labelled answers it gave no grade.
    """

    accuracy: float
    balanced_accuracy: float
    calibration_error: float
    majority: float
    n: int
    rouge: float | None = None
    questions_left_out: int = 0
    order_changed: float | None = None
    unread: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For judges.json; questions are counted as left out where there are any."""
        served = ("order_changed", "unread")
        return {
            name: value
            for name, value in self.__dict__.items()
            if not (name == "questions_left_out" and not value)
            and not (name in served and value is None)
        }


def agreement_with(
    label: Labels, probability: Features, rouge: Labels | None = None
) -> JudgeAgreement:
    """How probabilities (B,), and the ROUGE-1 rule's verdicts (B,), agree with labels of 0 and 1."""
    from sklearn.metrics import balanced_accuracy_score  # scikit-learn takes a second to load

    predicted = (probability > 0.5).astype(int)
    share = float(label.mean())
    return JudgeAgreement(
        accuracy=float((predicted == label).mean()),
        balanced_accuracy=float(balanced_accuracy_score(label, predicted)),
        calibration_error=calibration_error(probability, label),
        majority=max(share, 1 - share),
        n=len(label),
        rouge=None if rouge is None else float((rouge == label).mean()),
    )


def fold_of(case: Case) -> int:
    """The fold of a question, from 0, by a stable hash of its text."""
    return int(stable_hash("judge fold", case.id)[:8], 16) % FOLDS


def normalised_answer(answer: str) -> str:
    """An answer as it is compared with another: without letter case, spacing and the last full stop."""
    return normalised(answer).rstrip(".").rstrip()


def has_no_comment(answer: str) -> bool:
    """Whether the answer is 'I have no comment': true and not informative by definition (Lin et al.,
    2022), so that no judge is asked."""
    return normalised_answer(answer) == "i have no comment"


class Grader(Protocol):
    """Judges of truth and informativeness.

    `agreement` and `calibration` have the keys 'truth' and 'informative'; `calibration` also 'both',
    where score and label are the products.
    """

    @property
    def agreement(self) -> Mapping[str, JudgeAgreement]:
        """Of each judge with labels of questions that it hasn't seen."""

    @property
    def calibration(self) -> Mapping[str, Calibration]:
        """What each judge says of labelled answers."""

    def grade(self, answers: Sequence[tuple[Case, str]]) -> list[Grade]:
        """Grades of free answers; one that can't be judged is unscored."""
