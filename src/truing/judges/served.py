"""Judges of truth and informativeness behind an endpoint, measured on labelled answers as local ones are.

Nothing is fitted to the labels, so that no fold is kept from anything: agreement and calibration are of
what the model replied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from truing.data.labelled_answers import read_labelled_answers
from truing.judges.correction import LEAST_DIFFERENCE, Calibration
from truing.judges.fitting import matched
from truing.judges.grading import Grade, JudgeAgreement, agreement_with
from truing.judges.served_labels import (
    BOTH,
    LABELS_ASKED,
    Label,
    LabelledSample,
    people_sample,
    reference_sample,
)
from truing.judges.trained import NAMES
from truing.models.memo.replies import ReplyStore
from truing.progress import Progress
from truing.rewards.calling import columns_of
from truing.rewards.reward import Answered
from truing.rewards.rubrics.judge import ServedJudge
from truing.rewards.rubrics.reading import rubric_named
from truing.rewards.rubrics.summary import JudgeSummary, OrderEffect
from truing.spec.rubric import AskedEndpoint, RubricJudge, RubricSpec
from truing.spec.run import JudgeSpec
from truing.types import Case, InputError, Score, Unscored, did_you_mean

OUTCOME = "outcome"
"""What a rubric of outcomes is called."""


@dataclass(frozen=True)
class ServedJudges:
    """A Grader of a judge for each name; `source` says what it was held against."""

    judges: Mapping[str, ServedJudge]
    agreement: Mapping[str, JudgeAgreement] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    source: str = ""

    def grade(self, answers: Sequence[tuple[Case, str]]) -> list[Grade]:
        """See Grader."""
        answered = [Answered(case, answer) for case, answer in answers]
        true, informative = (self.judges[name].many(answered) for name in NAMES)
        return [Grade(*scores) for scores in zip(true, informative, strict=True)]

    def add_references(self, cases: Sequence[Case]) -> None:
        """Nothing: a case brings its references along."""

    @property
    def summaries(self) -> list[JudgeSummary]:
        """What is to be known of each judge so far."""
        return [JudgeSummary.of(judge) for judge in self.judges.values()]


def served_judges(
    asked: AskedEndpoint,
    rubrics: Sequence[str | RubricSpec],
    where: str,
    progress: Progress,
    *,
    seed: int = 0,
    store: ReplyStore | None = None,
) -> dict[str, ServedJudge]:
    """A judge of each name behind one endpoint, by rubrics of these names, else by the built-in ones.

    Raises InputError where endpoint or rubrics are wrong.
    """
    named = rubrics_by_name(rubrics, f"{where}.rubrics")
    judges = {}
    for name in NAMES:
        spec = by_rubric(asked, named.get(name, name))
        judges[name] = ServedJudge(name, spec, where, seed=seed, store=store)
        judges[name].check_ordered(where)
        judges[name].watched_by(progress)
    return judges


def by_rubric(asked: AskedEndpoint, rubric: str | RubricSpec) -> RubricJudge:
    """The same endpoint, asked in the same way, to grade by a rubric."""
    how = {name: getattr(asked, name) for name in AskedEndpoint.model_fields}
    return RubricJudge(**how, rubric=rubric)


def judges_of_spec(
    spec: JudgeSpec,
    cases: Sequence[Case],
    held_out: Sequence[Case],
    progress: Progress,
    seed: int,
) -> ServedJudges:
    """The judges behind the endpoint that a spec names, held against its labelled answers to any of the
    `cases`, else against references of the held-out ones. Raises InputError as `measured` does."""
    where = "judge"
    judges = served_judges(spec, spec.rubrics, where, progress, seed=seed)
    if spec.truth is None or spec.informative is None:
        return measured(judges, reference_sample(held_out, seed), where)
    files = {
        "truth": Path(spec.truth).expanduser(),
        "informative": Path(spec.informative).expanduser(),
    }
    labelled = matched(cases, {name: read_labelled_answers(path) for name, path in files.items()})
    names = " and ".join(dict.fromkeys(path.name for path in files.values()))
    return measured(
        judges, people_sample(labelled, seed, spec.labels or LABELS_ASKED, names), where
    )


def rubrics_by_name(rubrics: Sequence[str | RubricSpec], where: str) -> dict[str, RubricSpec]:
    """Rubrics in place of built-in ones, by the name of what they tell. Raises InputError where one is
    wrong, tells something else, or stands twice."""
    named: dict[str, RubricSpec] = {}
    for each in rubrics:
        rubric = rubric_named(each, where)
        if rubric.name not in (*NAMES, OUTCOME):
            hint = did_you_mean(rubric.name, (*NAMES, OUTCOME))
            raise InputError(
                f"{where}: {rubric.name!r}: replaces no built-in rubric; {hint}call it truth, informative "
                "or outcome, whichever it is for"
            )
        if rubric.name in named:
            raise InputError(f"{where}: two are called {rubric.name}; leave out the other")
        named[rubric.name] = rubric
    return named


def measured(judges: Mapping[str, ServedJudge], sample: LabelledSample, where: str) -> ServedJudges:
    """The judges with their agreement and calibration on labelled answers.

    Raises InputError where a rubric shows a column that no question has, before anything is asked, or
    where a judge grades none of the answers of a label.
    """
    columns = columns_of(case for rows in sample.rows.values() for case, _, _ in rows)
    for judge in judges.values():
        judge.check_columns(columns, where)
    agreement: dict[str, JudgeAgreement] = {}
    calibration: dict[str, Calibration] = {}
    scores: dict[str, list[Score]] = {}
    for name in NAMES:
        rows = sample.rows[name]
        graded = judges[name].grades([Answered(case, answer) for case, answer, _ in rows])
        scores[name] = [judges[name].score(each) for each in graded]
        part = _known(scores[name], rows, sample)
        _check_labels(part.label, name, len(rows), where)
        effect = OrderEffect.of(judges[name].rubric, graded)
        agreement[name] = replace(
            agreement_with(part.label, part.score),
            order_changed=effect.changed,
            unread=len(rows) - len(part.label),
        )
        calibration[name] = part
    both = [Answered(case, answer) for case, answer, _ in sample.rows[BOTH]]
    products = [
        _product(true, informative)
        for true, informative in zip(*(judges[name].many(both) for name in NAMES), strict=True)
    ]
    calibration[BOTH] = _known(products, sample.rows[BOTH], sample)
    return ServedJudges(judges, agreement, calibration, sample.source)


def _product(true: Score, informative: Score) -> Score:
    if isinstance(true, Unscored):
        return true
    return informative if isinstance(informative, Unscored) else true * informative


def _known(scores: Sequence[Score], rows: Sequence[Label], sample: LabelledSample) -> Calibration:
    """The answers that have a score."""
    places = sample.places
    known = [
        (score, label, places[case.id])
        for score, (case, _, label) in zip(scores, rows, strict=True)
        if not isinstance(score, Unscored)
    ]
    score, label, question = ([each[n] for each in known] for n in range(3))
    return Calibration(
        np.array(score, dtype=np.float64),
        np.array(label, dtype=np.int64),
        np.array(question, dtype=np.int64),
    )


def _check_labels(label: np.ndarray, name: str, asked: int, where: str) -> None:
    if len(set(label.tolist())) < 2:
        raise InputError(
            f"{where}: judge of {name}: of {asked} labelled answers {len(label)} got a grade, and not of "
            "both labels; give more labelled answers, or name a model that keeps to the grades"
        )


def tells_nothing(name: str, calibration: Calibration) -> str:
    """What to say of a judge whose grades are alike whatever the label; empty of any other."""
    values = np.unique(calibration.score)
    if len(values) == 1:
        count = len(calibration.score)
        return f"judge of {name}: always the same grade on {count} labels: it tells nothing"
    sides = [calibration.score[calibration.label == label] for label in (1, 0)]
    if not all(map(len, sides)):
        return (
            f"judge of {name}: {len(sides[0])} good and {len(sides[1])} bad labelled answers have a grade: "
            "without both, nothing can be corrected by it"
        )
    good, bad = (side.mean() for side in sides)
    if good - bad > LEAST_DIFFERENCE:
        return ""
    return (
        f"judge of {name}: its grades of good and of bad labelled answers differ by {good - bad:.3f}: it "
        "can't tell them apart, and nothing can be corrected by it"
    )
