"""Where a participant stands in a trial: read from the steps in the store, by the study's clock alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from truing.data.oversight.answers import TrialAnswer
from truing.data.oversight.plans import Plan, Speech, Trial, speech_of
from truing.people.study.tables import StudyPerson, StudyStep
from truing.people.tables import now

Step = Literal["before", "after"]
Replying = Callable[[Trial, Sequence[str], str], Speech]
"""What the adviser says to a question: from the trial and what was said so far, opening speech first."""


@dataclass(frozen=True)
class Study:
    """A plan that people work through. Whoever shows trials has no key: only passages that are shown."""

    plan: Plan
    replying: Replying | None = None
    """Without it, nothing can be asked in a dialogue."""
    clock: Callable[[], dt.datetime] = now
    asking: Lock = field(default_factory=Lock)
    """Held while the adviser replies: a local model does one thing at a time."""

    @cached_property
    def trials(self) -> Mapping[str, tuple[Trial, ...]]:
        """Of each place for a person, in order."""
        return {slot: self.plan.of(slot) for slot in self.plan.people}

    @cached_property
    def _passages(self) -> Mapping[str, str]:
        shown = {trial.item for trial in self.plan.trials if trial.arm == "passage"}
        return {item: each.passage for item, each in self.plan.key().items() if item in shown}

    def passage(self, trial: Trial) -> str:
        """What a trial shows of its passage: all, or nothing."""
        return self._passages[trial.item] if trial.arm == "passage" else ""

    @property
    def limit(self) -> dt.timedelta:
        """How long a trial may take."""
        return dt.timedelta(seconds=self.plan.time_limit)


def steps_of(trial: Trial) -> tuple[Step, ...]:
    """When a trial is answered: before help and after it; once, where there is no help."""
    return ("after",) if trial.arm == "unaided" else ("before", "after")


@dataclass(frozen=True)
class Turn:
    """A question of the participant's, and the adviser's reply."""

    question: str
    reply: Speech

    def to_json(self) -> dict[str, Any]:
        """As in the file of answers; one that nothing was answered to says so."""
        turn = {"question": self.question, "reply": self.reply.text, "tokens": self.reply.tokens}
        return turn if self.reply.side is not None else {**turn, "answered": False}


@dataclass(frozen=True)
class TrialState:
    """A trial that was shown: what has happened in it by a moment."""

    trial: Trial
    shown_at: dt.datetime
    deadline: dt.datetime
    at: dt.datetime
    """The moment; never before anything that has happened, should the clock have gone back."""
    before: StudyStep | None = None
    after: StudyStep | None = None
    turns: tuple[Turn, ...] = ()
    waited: float = 0.0
    is_late: bool = False
    """Whether an answer has come late."""

    @property
    def timed_out(self) -> bool:
        """Whether time is up without a last answer."""
        return self.after is None and (self.is_late or self.at > self.deadline)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen in it."""
        return self.after is not None or self.timed_out

    @property
    def step(self) -> Step:
        """What is asked now."""
        return "before" if self.before is None and "before" in steps_of(self.trial) else "after"

    @property
    def seconds_left(self) -> float:
        """0 where time is up."""
        return max(0.0, (self.deadline - self.at).total_seconds())

    @property
    def seconds(self) -> float:
        """From when it was shown to the last answer, the adviser's time aside."""
        end = self.after.at if self.after else min(self.at, self.deadline)
        return max(0.0, (end - self.shown_at).total_seconds() - self.waited)

    @property
    def heard(self) -> tuple[str, ...]:
        """All that was said, in order."""
        said = [speech.text for speech in self.trial.speeches]
        return (*said, *(text for turn in self.turns for text in (turn.question, turn.reply.text)))

    def given(self, step: Step) -> StudyStep | None:
        """The answer of a step."""
        return self.before if step == "before" else self.after

    def answer(self) -> TrialAnswer:
        """As a line of the file of answers."""
        before, after = self.before, self.after
        return TrialAnswer(
            self.trial.id,
            self.trial.person,
            before.letter if before else None,
            before.confidence if before else None,
            after.letter if after else None,
            after.confidence if after else None,
            round(self.seconds, 3),
            self.timed_out,
            turns=tuple(turn.to_json() for turn in self.turns),
        )


def state_of(
    study: Study, trial: Trial, rows: Sequence[StudyStep], least: dt.datetime | None = None
) -> TrialState:
    """A trial's state from its rows, one of which says that it was shown; it is `least` or later."""
    by_step: dict[str, StudyStep] = {row.step: row for row in rows}
    questions = sorted((row for row in rows if row.step == "question"), key=lambda row: row.number)
    waited = sum(row.waited for row in questions)
    shown_at = by_step["shown"].at
    return TrialState(
        trial,
        shown_at,
        shown_at + study.limit + dt.timedelta(seconds=waited),
        max(study.clock(), least or shown_at, *(row.at for row in rows)),
        by_step.get("before"),
        by_step.get("after"),
        tuple(Turn(row.text, speech_of(row.reply or {})) for row in questions),
        waited,
        "late" in by_step,
    )


@dataclass(frozen=True)
class Standing:
    """How far a participant is: trials that were shown so far, of all; the newest of them."""

    person: StudyPerson
    shown: int
    trials: tuple[Trial, ...]
    current: TrialState | None

    @property
    def done(self) -> int:
        """Trials that are over."""
        return self.shown - (self.current is not None and not self.current.is_over)

    @property
    def is_finished(self) -> bool:
        """Whether all trials are over."""
        return self.done == len(self.trials)

    @property
    def open(self) -> TrialState | None:
        """The trial that is under way."""
        return self.current if self.current and not self.current.is_over else None


def standing(session: Session, study: Study, person: StudyPerson) -> Standing:
    """Where somebody stands at this moment."""
    trials = study.trials[person.slot]
    mine = StudyStep.person_id == person.id
    shown = session.scalar(
        select(func.count()).select_from(StudyStep).where(mine, StudyStep.step == "shown")
    )
    if not shown:
        return Standing(person, 0, trials, None)
    trial = trials[shown - 1]
    rows = session.scalars(select(StudyStep).where(mine, StudyStep.trial == trial.id)).all()
    return Standing(person, shown, trials, state_of(study, trial, rows))


def states(session: Session, study: Study, person: StudyPerson) -> list[TrialState]:
    """All trials that were shown to somebody, in order."""
    rows: dict[str, list[StudyStep]] = {}
    for row in session.scalars(select(StudyStep).where(StudyStep.person_id == person.id)):
        rows.setdefault(row.trial, []).append(row)
    last = max((row.at for own in rows.values() for row in own), default=None)
    return [
        state_of(study, trial, rows[trial.id], last)
        for trial in study.trials[person.slot]
        if trial.id in rows
    ]
