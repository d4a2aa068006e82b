"""From the store to the study's file of answers, to the lead's progress, and to a participant's score."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.data.oversight.plans import ANSWERS, Arm, read_plan
from truing.files import write_jsonl_atomically
from truing.people.store import Store, open_store
from truing.people.study.clock import study_clock
from truing.people.study.tables import StudyPerson, StudyStep
from truing.people.study.trials import Study, TrialState, states
from truing.people.tables import Annotator, Erasure
from truing.types import answer_key

STORE = "people.db"
"""The store in a study's folder, where no other is named."""
_WRITING = Lock()


def _people(session: Session, study: Study) -> list[StudyPerson]:
    rows = session.scalars(select(StudyPerson).where(StudyPerson.study == study.plan.hash))
    places = {slot: number for number, slot in enumerate(study.plan.people)}
    return sorted(rows, key=lambda row: places[row.slot])


def _any_erased(session: Session) -> bool:
    erased = session.scalars(select(Erasure.rows))
    return any(StudyPerson.__tablename__ in rows for rows in erased)


def latest_step(store: Store, study: Study) -> dt.datetime | None:
    """When the last thing happened in a study; None where nothing has."""
    own = StudyPerson.study == study.plan.hash
    with store.reading() as session:
        return session.scalar(select(func.max(StudyStep.at)).join(StudyPerson).where(own))


def write_answers(store: Store, study: Study) -> int:
    """Write the answers of all trials that are over into the study's folder; how many there are.

    The file is wholly new each time, so that erased people are in it no more. It has letters and places
    for people, no names, no passages and no right answers. Where nobody has taken part, a file that
    came from elsewhere is left alone.
    """
    with _WRITING:
        with store.reading() as session:
            people = _people(session, study)
            over = [
                state.answer().to_json()
                for person in people
                for state in states(session, study, person)
                if state.is_over
            ]
            if not people and not _any_erased(session):
                return 0
        write_jsonl_atomically(study.plan.folder / ANSWERS, over)
        return len(over)


def collect_answers(folder: Path, store_name: str | None = None) -> int | None:
    """As `write_answers`, for a study's folder; None where people have no store in it yet.

    Raises InputError where folder or store can't be used.
    """
    if store_name is None and not (folder / STORE).is_file():
        return None
    study = Study(read_plan(folder))
    store = open_store(store_name or str(folder / STORE), must_exist=True)
    try:
        clock = study_clock(folder, latest_step(store, study), study.limit)
        return write_answers(store, replace(study, clock=clock))
    finally:
        store.close()


@dataclass(frozen=True)
class PersonProgress:
    """How far somebody is: trials that are over by arm, and how many of them timed out."""

    name: str
    slot: str
    by_arm: dict[Arm, int]
    timed_out: int
    total: int
    last_at: dt.datetime

    @property
    def done(self) -> int:
        """Trials that are over."""
        return sum(self.by_arm.values())

    @property
    def is_finished(self) -> bool:
        """Whether all their trials are over."""
        return self.done == self.total


def people_progress(session: Session, study: Study) -> list[PersonProgress]:
    """How far everybody is, in the order of places. Nothing of what they answered."""
    names = {each.id: each.name for each in session.scalars(select(Annotator))}
    return [
        _progress(names[person.annotator_id], person, states(session, study, person), study)
        for person in _people(session, study)
    ]


def _progress(
    name: str, person: StudyPerson, shown: list[TrialState], study: Study
) -> PersonProgress:
    over = [state for state in shown if state.is_over]
    moments = [person.taken_at, *(state.shown_at for state in shown)]
    moments += [state.after.at for state in over if state.after]
    return PersonProgress(
        name,
        person.slot,
        dict(Counter(state.trial.arm for state in over)),
        sum(state.timed_out for state in over),
        len(study.trials[person.slot]),
        max(moments),
    )


@dataclass(frozen=True)
class ParticipantScore:
    """The mean of a proper score over all trials of somebody; those that timed out count 0."""

    mean: float
    n: int
    timed_out: int


def score_of(session: Session, study: Study, person: StudyPerson) -> ParticipantScore:
    """Somebody's score, when all their trials are over: the one thing here that opens the key.

    It is one figure for all trials together, so that it gives no single answer away.
    """
    from truing.statistics.oversight import quadratic_score

    shown = states(session, study, person)
    if len(shown) < len(study.trials[person.slot]) or not all(state.is_over for state in shown):
        raise ValueError("a score is for the end")
    key = study.plan.key()
    scores = []
    for state in shown:
        right = answer_key(key[state.trial.item].answer)
        letters = {
            answer_key(o): letter for o, letter in zip(state.trial.options, "AB", strict=True)
        }
        if state.after is not None and state.after.confidence is not None:
            correct = state.after.letter == letters.get(right)
            scores.append(quadratic_score(state.after.confidence, correct))
    mean = sum(scores) / len(shown) if shown else 0.0
    return ParticipantScore(mean, len(shown), sum(state.timed_out for state in shown))
