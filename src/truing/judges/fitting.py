"""Training judges of truth and informativeness on labelled answers, cross-fitted by question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from truing.data.labelled_answers import LabelledAnswer
from truing.judges.correction import Calibration
from truing.judges.grading import (
    FOLDS,
    JudgeAgreement,
    Labels,
    agreement_with,
    fold_of,
    has_no_comment,
)
from truing.judges.references import Prepared, References
from truing.judges.stacked import Judge, cross_fit
from truing.judges.trained import NAMES, TrainedJudges, by_fold
from truing.models.features import Embed
from truing.progress import Progress
from truing.types import Case, InputError, answer_key, split_key

LEAST_QUESTIONS = 4 * FOLDS


@dataclass(frozen=True)
class Labelled:
    """Distinct (case, answer) pairs, and the labels of each file: `rows` number the pairs."""

    pairs: list[tuple[Case, str]]
    rows: dict[str, list[tuple[int, int]]]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Fitted:
    """The judges, their agreement on all labelled answers (references too), and what was left out."""

    judges: TrainedJudges
    on_all: dict[str, JudgeAgreement]
    left_out: dict[str, int]


def matched(cases: Sequence[Case], files: dict[str, Sequence[LabelledAnswer]]) -> Labelled:
    """Labelled answers put to their questions, by question in the order of `cases`.

    Raises InputError where hardly any question is labelled or known, and where a file's labels are all
    alike.
    """
    asked = {answer_key(each.question) for answers in files.values() for each in answers}
    if len(asked) < LEAST_QUESTIONS:
        raise InputError(
            f"{', '.join(f'judge.{name}' for name in files)}: answers to {len(asked)} questions are "
            f"labelled, too few for a judge (at least {LEAST_QUESTIONS}); label answers to more questions"
        )
    place_of = _places(cases)
    labels_in: dict[str, list[tuple[tuple[int, str], int]]] = {name: [] for name in files}
    left_out = {"question unknown": 0, "empty answer": 0}
    for name, answers in files.items():
        for labelled in answers:
            place = place_of(labelled.question)
            if place is None:
                left_out["question unknown"] += 1
            elif not labelled.answer:
                left_out["empty answer"] += 1
            else:
                labels_in[name].append(((place, labelled.answer), int(labelled.label)))
    distinct = dict.fromkeys(pair for rows in labels_in.values() for pair, _ in rows)
    pairs = sorted(distinct, key=lambda pair: pair[0])
    known = len({place for place, _ in pairs})
    if known < LEAST_QUESTIONS:
        raise InputError(
            f"data.questions: has only {known} of the questions in the labelled answers, which is too "
            f"few to train a judge (at least {LEAST_QUESTIONS}); give the file of the questions that "
            "were answered"
        )
    for name, labels in labels_in.items():
        _check_both(name, [label for _, label in labels])
    number = {pair: n for n, pair in enumerate(pairs)}
    rows = {
        name: [(number[pair], label) for pair, label in labels]
        for name, labels in labels_in.items()
    }
    return Labelled([(cases[place], answer) for place, answer in pairs], rows, left_out)


def _check_both(name: str, labels: Sequence[int]) -> None:
    """Raises InputError where nothing can be told apart, before answers are read or sent to a server."""
    if len(set(labels)) == 1:
        raise InputError(
            f"judge.{name}: all {len(labels)} labelled answers to known questions are labelled "
            f"{'yes' if labels[0] else 'no'}; give answers of both labels"
        )
    if not labels:
        raise InputError(
            f"judge.{name}: none of its labelled answers is to a question of data.questions; give answers "
            "to those"
        )


def _places(cases: Sequence[Case]) -> Callable[[str], int | None]:
    """The place of the case that a question means: exactly, else letter case and width aside where one
    case alone is meant so."""
    exact: dict[str, int] = {}
    coarse: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        exact.setdefault(answer_key(case.prompt), place)
        coarse.setdefault(split_key(case.prompt), []).append(place)

    def place_of(question: str) -> int | None:
        alike = coarse.get(split_key(question), [])
        return exact.get(answer_key(question), alike[0] if len(alike) == 1 else None)

    return place_of


def fit_judges(
    cases: Sequence[Case], labelled: Labelled, read: Embed, progress: Progress, seed: int
) -> Fitted:
    """Trains both judges; every figure about them is of questions that they haven't seen.

    `agreement` and `calibration` are on labelled answers that aren't references themselves: such a
    label is given away by the questions' file. Raises InputError where a file's labels are all alike.
    """
    labelled_cases = list({case.id: case for case, _ in labelled.pairs}.values())
    references = References.of(labelled_cases, read, progress)
    sample = _Sample.of(labelled, references.prepared(labelled.pairs, learning=True))
    judges: dict[str, list[Judge]] = {}
    agreement: dict[str, JudgeAgreement] = {}
    on_all: dict[str, JudgeAgreement] = {}
    calibration: dict[str, Calibration] = {}
    with progress.task("Fitting the judges", total=len(sample.rows)) as advance:
        for done, (name, (place, label)) in enumerate(sample.rows.items(), 1):
            answers, fold = sample.prepared.answers[place], sample.fold[place]
            try:
                judges[name], probability_N = cross_fit(answers, label, fold, seed)
            except ValueError as error:
                raise InputError(f"judge.{name}: {error}; give more labelled answers") from None
            rule = sample.rule[place] if name == "truth" else None
            free = sample.free[place]
            on_all[name] = agreement_with(label, probability_N, rule)
            agreement[name] = agreement_with(
                label[free], probability_N[free], None if rule is None else rule[free]
            )
            calibration[name] = Calibration(
                probability_N[free], label[free], sample.question[place][free]
            )
            advance(done)
    calibration["both"] = sample.both(judges)
    trained = TrainedJudges(judges, references, agreement, calibration)
    return Fitted(trained, on_all, {**labelled.left_out, "no reference": sample.left_out})


@dataclass(frozen=True)
class _Sample:
    """Prepared answers (B of them): fold, question's number, verdict of the rule, and whether free:
    neither a reference nor 'I have no comment'. `rows` are places (R,) in it, with labels (R,)."""

    prepared: Prepared
    fold: NDArray[np.int64]
    question: NDArray[np.int64]
    rule: NDArray[np.int64]
    free: NDArray[np.bool_]
    rows: dict[str, tuple[NDArray[np.int64], Labels]]
    left_out: int

    @staticmethod
    def of(labelled: Labelled, prepared: Prepared) -> _Sample:
        place_of = {pair: place for place, pair in enumerate(prepared.place)}
        pairs = [labelled.pairs[number] for number in prepared.place]
        rows, left_out = {}, 0
        for name, labels in labelled.rows.items():
            known = [(place_of[n], label) for n, label in labels if n in place_of]
            left_out += len(labels) - len(known)
            places, values = np.array(known, dtype=np.int64).reshape(-1, 2).T
            rows[name] = (places, values)
        questions = {case.id: number for number, (case, _) in enumerate(pairs)}
        certain = np.array([has_no_comment(answer) for _, answer in pairs])
        return _Sample(
            prepared,
            np.array([fold_of(case) for case, _ in pairs]),
            np.array([questions[case.id] for case, _ in pairs]),
            np.array(prepared.rule).astype(np.int64),
            ~np.array(prepared.reference) & ~certain,
            rows,
            left_out,
        )

    def both(self, judges: dict[str, list[Judge]]) -> Calibration:
        """The products of scores and labels, where both labels are known."""
        label_of = [dict(zip(*map(list, self.rows[name]), strict=True)) for name in NAMES]
        shared = [p for p in label_of[0] if p in label_of[1] and self.free[p]]
        place = np.array(sorted(shared), dtype=np.int64)
        answers, fold = self.prepared.answers[place], self.fold[place]
        true, informative = (by_fold(judges[name], answers, fold) for name in NAMES)
        label = np.array([label_of[0][p] * label_of[1][p] for p in place.tolist()], dtype=np.int64)
        return Calibration(true * informative, label, self.question[place])
