"""Taking part in a study: a place, then trial after trial, each step once and in order.

Every step is a transaction of its own, so that a server that ends between any two of them has lost
nothing. Whoever sends the same step twice has sent it once. The clock of a trial begins when the server
first shows it, goes on while nobody looks, and is the server's: what comes late counts as nothing, and
the trial as timed out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from truing.data.messages import checked_text
from truing.data.oversight.answers import LEAST, MOST
from truing.data.oversight.plans import LETTERS, Speech, Trial
from truing.people.judging import NotYours
from truing.people.store import Store
from truing.people.study.tables import StudyPerson, StudyStep
from truing.people.study.trials import Standing, Step, Study, TrialState, standing, steps_of
from truing.types import InputError

QUESTION_LENGTH = 1_000
FAILED = "(The adviser could not answer just now, so that nothing was said.)"
_STANDS = (
    "An answer of yours to this was recorded already: {letter}, {confidence} % sure. It counts, and this "
    "one wasn’t kept. Open the study again to go on"
)
_LOG = logging.getLogger(__name__)
_TRIES = 5
_T = TypeVar("_T")


class OutOfOrder(Exception):
    """A step that isn't the trial's next one, or an answer that would change one that was given."""


class StudyFull(Exception):
    """All places of the plan are taken."""


def place_of(session: Session, study: Study, annotator_id: int) -> StudyPerson | None:
    """The place that somebody has taken."""
    mine = StudyPerson.annotator_id == annotator_id
    return session.scalar(select(StudyPerson).where(mine, StudyPerson.study == study.plan.hash))


def take_place(store: Store, study: Study, annotator_id: int) -> StudyPerson:
    """Somebody's place: the one they have, or the next that is free. Raises StudyFull."""

    def take(session: Session) -> StudyPerson:
        person = place_of(session, study, annotator_id)
        if person is not None:
            session.expunge(person)
            return person
        mine = StudyPerson.study == study.plan.hash
        taken = set(session.scalars(select(StudyPerson.slot).where(mine)))
        free = next((slot for slot in study.plan.people if slot not in taken), None)
        if free is None:
            raise StudyFull
        person = StudyPerson(study=study.plan.hash, slot=free, annotator_id=annotator_id)
        session.add(person)
        session.flush()
        session.expunge(person)
        return person

    return _once(store, take)


def _once(store: Store, write: Callable[[Session], _T]) -> _T:
    """Write; again, from what is there then, where another server was faster by a moment."""
    for _ in range(_TRIES):
        try:
            with store.writing() as session:
                return write(session)
        except IntegrityError:
            continue
    with store.writing() as session:
        return write(session)


def _standing(session: Session, study: Study, annotator_id: int) -> Standing:
    person = place_of(session, study, annotator_id)
    if person is None:
        raise NotYours
    return standing(session, study, person)


def show_next(store: Store, study: Study, annotator_id: int) -> None:
    """Begin the next trial, unless one is under way or all are over: its clock runs from now on."""

    def show(session: Session) -> None:
        _show(session, study, _standing(session, study, annotator_id))

    _once(store, show)


def _show(session: Session, study: Study, where: Standing) -> None:
    if where.open is None and not where.is_finished:
        _add(session, where, where.trials[where.shown], "shown", study)


def _add(
    session: Session, where: Standing, trial: Trial, step: str, study: Study, **values: object
) -> None:
    at = max(study.clock(), where.current.at) if where.current else study.clock()
    row = StudyStep(person_id=where.person.id, trial=trial.id, step=step, at=at, **values)
    session.add(row)
    session.flush()


def _state(where: Standing, trial_id: str) -> TrialState | None:
    """The state of a trial of one's own; None where it is over, for another was shown since.

    Raises NotYours for another person's trial and OutOfOrder for one that wasn't shown yet.
    """
    places = {trial.id: place for place, trial in enumerate(where.trials)}
    if trial_id not in places:
        raise NotYours
    if places[trial_id] >= where.shown:
        raise OutOfOrder("This question wasn’t shown yet; questions come one after the other.")
    is_current = where.current is not None and where.current.trial.id == trial_id
    return where.current if is_current else None


def _row(session: Session, where: Standing, trial_id: str, step: str) -> StudyStep | None:
    own = (StudyStep.person_id == where.person.id, StudyStep.trial == trial_id)
    return session.scalar(select(StudyStep).where(*own, StudyStep.step == step))


def checked_answer(letter: str, confidence: str) -> tuple[str, int]:
    """A letter and a confidence as a form gives them. Raises InputError."""
    if letter not in LETTERS:
        raise InputError("answer: choose one of the two")
    confidence = confidence.strip()
    whole = confidence.isascii() and confidence.isdigit() and len(confidence) < 4
    if not whole or not LEAST <= int(confidence) <= MOST:
        raise InputError(f"confidence: give a whole number from {LEAST} to {MOST}")
    return letter, int(confidence)


def answer(
    store: Store,
    study: Study,
    annotator_id: int,
    trial_id: str,
    step: Step,
    given: tuple[str, int],
    *,
    go_on: bool = False,
) -> Standing:
    """Keep an answer, where time isn't up; where one stands then. With `go_on` the next trial begins as
    this one is answered.

    Raises NotYours, and OutOfOrder where it isn't the trial's next step.
    """

    def keep(session: Session) -> Standing:
        where = _standing(session, study, annotator_id)
        state = _state(where, trial_id)
        before = _row(session, where, trial_id, step)
        if before is not None and (before.letter, before.confidence) != given:
            raise OutOfOrder(_STANDS.format(letter=before.letter, confidence=before.confidence))
        if state is not None and state.timed_out and not state.is_late:
            # From now on no clock that is put back can open it again.
            _add(session, where, state.trial, "late", study)
        if before is not None or state is None or state.is_over:
            return where
        if step not in steps_of(state.trial) or step != state.step:
            raise OutOfOrder("First comes your answer without help, then the one with it.")
        letter, confidence = given
        _add(session, where, state.trial, step, study, letter=letter, confidence=confidence)
        where = standing(session, study, where.person)
        if go_on:
            _show(session, study, where)
        return where

    return _once(store, keep)


def ask(
    store: Store, study: Study, annotator_id: int, trial_id: str, number: int, text: str
) -> None:
    """Ask the adviser of a dialogue, where time isn't up. `number` counts the trial's questions from 0.

    Question and reply are kept together: what a server loses when it ends meanwhile can be asked again.
    Raises NotYours, OutOfOrder and InputError.
    """
    question = checked_text(text, "question").strip()
    if len(question) > QUESTION_LENGTH:
        raise InputError(f"question: at most {QUESTION_LENGTH:,} characters")
    begun = study.clock()  # waiting for others' replies isn't the person's time either
    with store.reading() as session:
        state = _askable(study, _standing(session, study, annotator_id), trial_id, number)
    with study.asking:
        with store.reading() as session:
            current = _standing(session, study, annotator_id).current
        is_new = current is not None and len(current.turns) == number
        if state is None or study.replying is None or not is_new:
            return
        reply = _reply(study, state, question)
        waited = max(0.0, (study.clock() - begun).total_seconds())

        def keep(session: Session) -> None:
            # Meanwhile they may have answered, or another server may have shown the next trial.
            now = _standing(session, study, annotator_id)
            same = now.current is not None and now.current.trial.id == trial_id
            if same and now.current and not now.current.after and len(now.current.turns) == number:
                values = {"number": number, "text": question, "reply": reply.to_json()}
                _add(session, now, state.trial, "question", study, waited=waited, **values)

        _once(store, keep)


def _reply(study: Study, state: TrialState, question: str) -> Speech:
    """The adviser's reply. One that fails answers nothing: that is kept, and said on the page; why it
    failed is for the server's log alone, as it may quote what the person mustn't see."""
    assert study.replying is not None
    try:
        return study.replying(state.trial, state.heard, question)
    except Exception as error:
        _LOG.warning("the adviser could not answer: %s: %s", type(error).__name__, error)
        return Speech(None, FAILED)


def _askable(study: Study, where: Standing, trial_id: str, number: int) -> TrialState | None:
    """The trial, where this is its next question; None where it was asked, or where time is up."""
    state = _state(where, trial_id)
    if state is None or state.is_over or number < len(state.turns):
        return None
    left = state.trial.questions if study.replying else 0
    if state.step != "after" or number != len(state.turns) or number >= left:
        raise OutOfOrder("Nothing can be asked here now.")
    return state
