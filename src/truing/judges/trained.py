"""Judges trained on people's labels, cross-fitted by question, in a folder that loads in seconds.

An answer is graded by a judge that never saw its question: questions fall into folds by a hash of their
text, and each fold has judges of its own, trained on the other folds. A question that is in no labelled
file falls into a fold just the same.

The folder holds `judges.safetensors` and `judges.json`; the model that reads answers is named there, not
copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from truing.files import read_json, write_file_atomically, write_json_atomically
from truing.judges.correction import Calibration
from truing.judges.grading import EMPTY, FOLDS, Grade, JudgeAgreement, fold_of
from truing.judges.reader import open_reader
from truing.judges.references import References
from truing.judges.stacked import Answers, Judge
from truing.models.features import Features
from truing.models.memo.features import FeatureStore
from truing.progress import Progress
from truing.types import Case, InputError, Unscored

RECORD, TENSORS = "judges.json", "judges.safetensors"
VERSION = 1
"""To be raised when judges of an older folder would be fed with other features than they know."""
NAMES = ("truth", "informative")
CALIBRATED = (*NAMES, "both")
NO_REFERENCE = Unscored("no true or no false reference to compare with")


@dataclass(frozen=True)
class TrainedJudges:
    """A judge of each name for each fold; `references` prepares what they see.

    `agreement` and `calibration` are those of a Grader, on labelled answers that aren't references.
    """

    judges: Mapping[str, Sequence[Judge]]
    references: References
    agreement: Mapping[str, JudgeAgreement]
    calibration: Mapping[str, Calibration]

    def grade(self, answers: Sequence[tuple[Case, str]]) -> list[Grade]:
        """Grades of free answers; an empty one, or one without references, is unscored."""
        grades = [Grade(EMPTY, EMPTY)] * len(answers)
        full = [place for place, (_, answer) in enumerate(answers) if answer]
        for place in full:
            grades[place] = Grade(NO_REFERENCE, NO_REFERENCE)
        compared = [
            p for p in full if answers[p][0].correct_answers and answers[p][0].incorrect_answers
        ]
        if not compared:
            return grades
        seen = self.references.prepared([answers[p] for p in compared], learning=False).answers
        fold = np.array([fold_of(answers[p][0]) for p in compared])
        true, informative = (by_fold(self.judges[name], seen, fold) for name in NAMES)
        for place, p_true, p_informative in zip(compared, true, informative, strict=True):
            grades[place] = Grade(float(p_true), float(p_informative))
        return grades


def by_fold(judges: Sequence[Judge], answers: Answers, fold: NDArray[np.int64]) -> Features:
    """Probabilities (B,) of answers, each by the judge of its fold (B,)."""
    probability = np.zeros(len(answers))
    for f, judge in enumerate(judges):
        own = fold == f
        if own.any():
            probability[own] = judge.probability(answers[own])
    return probability


def save_judges(judges: TrainedJudges, folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes the folder's tensors, then its record with `facts`; an older record goes first."""
    tensors = {"center": judges.references.center, "scale": judges.references.scale}
    for name, folds in judges.judges.items():
        for f, judge in enumerate(folds):
            tensors |= {f"{name}/{f}/{part}": array for part, array in judge.tensors().items()}
    for name, calibration in judges.calibration.items():
        parts = calibration.__dict__.items()
        tensors |= {f"calibration/{name}/{part}": array for part, array in parts}
    (folder / RECORD).unlink(missing_ok=True)
    whole = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    write_file_atomically(folder / TENSORS, lambda path: save_file(whole, path))
    agreement = {name: found.to_json() for name, found in judges.agreement.items()}
    write_json_atomically(folder / RECORD, {"version": VERSION, **facts, "agreement": agreement})


def load_judges(
    folder: Path,
    progress: Progress,
    *,
    accept_licence: bool = False,
    store: FeatureStore | None = None,
) -> TrainedJudges:
    """The judges in a folder, with the model that reads answers for them.

    Raises InputError where the folder holds none, holds another version's, or where the model isn't the
    one that they were trained on.
    """
    record = read_record(folder)
    reader = open_reader(
        record["model"], record["dtype"], progress, accept_licence=accept_licence, store=store
    )
    identity = reader.identity
    for what, now in (("weights", identity.weights), ("settings", identity.settings)):
        if record.get(what, now) != now:  # a judge of before says nothing of settings
            raise InputError(
                f"{folder / RECORD}: model {record['model']!r} has other {_CHANGED[what]} than the "
                "judges were trained on; give a judge trained on these"
            )
    try:
        tensors = load_file(folder / TENSORS)
        judges = {name: [_judge(tensors, f"{name}/{f}/") for f in range(FOLDS)] for name in NAMES}
        calibration = {
            name: Calibration(**_below(tensors, f"calibration/{name}/")) for name in CALIBRATED
        }
        references = References(reader, progress, tensors["center"], tensors["scale"])
        agreement = {name: JudgeAgreement(**record["agreement"][name]) for name in NAMES}
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder}: not a whole judge ({error}); train it again with 'truing train judge'"
        ) from None
    return TrainedJudges(judges, references, agreement, calibration)


_CHANGED = {"weights": "weights", "settings": "settings (tokenizer, chat template, configuration)"}


def read_record(folder: Path) -> dict[str, Any]:
    """What judges.json says. Raises InputError where the folder holds no judge of this version."""
    if not (folder / RECORD).is_file():
        raise InputError(
            f"--judge {folder}: holds no judge (no {RECORD}); give the folder that "
            "'truing train judge' names"
        )
    record = read_json(folder / RECORD)
    if record.get("version") != VERSION:
        raise InputError(
            f"{folder / RECORD}: version: {record.get('version')!r}, but this Truing reads {VERSION}; "
            "train the judge again"
        )
    local = ("model", "dtype", "weights", "agreement")
    for key in ("rubrics", "agreement") if "endpoint" in record else local:
        if key not in record:
            raise InputError(f"{folder / RECORD}: {key}: missing; train the judge again")
    return record


def _below(tensors: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {n.removeprefix(prefix): a for n, a in tensors.items() if n.startswith(prefix)}


def _judge(tensors: Mapping[str, NDArray[Any]], prefix: str) -> Judge:
    return Judge.from_tensors(_below(tensors, prefix))
