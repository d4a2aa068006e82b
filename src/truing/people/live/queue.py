"""What people judge while a training runs: batches in, judgements out, what each step learned from.

A training posts each step's batch, asks which prompts have judgements enough, writes down which of them it
is going to learn from, and only then learns. A step that is done again finds what it wrote and learns from
exactly that. A judgement counts once, in the step that first sees it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.people.assigning import is_current
from truing.people.content import parted
from truing.people.live.batches import (
    Batch,
    DrawnAnswer,
    Group,
    LiveSettings,
    answers_of,
    close,
    post_batch,
    run_of,
    step_of,
)
from truing.people.live.judgements import LiveJudgement, judged_tasks, mark, what_was_said
from truing.people.live.tables import LiveRun, LiveStep, LiveTask
from truing.people.store import Store
from truing.people.tables import Judgement, now
from truing.types import InputError


@dataclass(frozen=True)
class Waiting:
    """What people have said that no step has learned from: ids of judgements by the prompt they are about.

    `ready` has prompts that may be learned from now, `open` counts prompts that wait for people.
    """

    ready: Mapping[Group, Sequence[int]]
    open: int


@dataclass(frozen=True)
class Learned:
    """What a step learned from. `by` is people or model; the rest is counted.

    `changed`: judgements that were taken back or changed after a step had learned from them. `stale`: those
    that came too late for the policy, though not for a reward model. `open`: prompts that wait.
    """

    by: str
    judgements: tuple[int, ...] = ()
    changed: int = 0
    stale: int = 0
    open: int = 0

    def to_json(self) -> dict[str, Any]:
        """As it stands in the store and in the log."""
        return {**vars(self), "judgements": list(self.judgements)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Learned:
        """The inverse of `to_json`."""
        return Learned(**{**data, "judgements": tuple(data["judgements"])})


@dataclass(frozen=True)
class LiveQueue:
    """One training's tasks in a store."""

    store: Store
    settings: LiveSettings

    # --- Beginning and ending ---------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        """Whether the training has begun in this store."""
        with self.store.reading() as session:
            return run_of(session, self.settings.key) is not None

    def begin(self) -> None:
        """The training's row, new or as it is."""
        settings = self.settings
        with self.store.writing() as session:
            run = run_of(session, settings.key)
            if run is None:
                session.add(
                    LiveRun(
                        key=settings.key,
                        name=settings.name,
                        ask=settings.ask,
                        wanted=settings.wanted,
                        least=settings.least,
                        staleness=settings.staleness,
                    )
                )
            else:
                run.ended_at = None

    def check(self) -> None:
        """Raises InputError where a judgement that a step learned from is gone."""
        with self.store.reading() as session:
            run = self._own(session).id
            there = {row.id: mark(row.submission) for row in judged_tasks(session, run)}
            steps = session.scalars(
                select(LiveStep).where(LiveStep.run_id == run).order_by(LiveStep.step)
            )
            for posted in steps:
                self._check_step(posted, there)

    def _check_step(self, posted: LiveStep, there: Mapping[int, str]) -> None:
        if posted.learned is None:
            return
        used = zip(posted.learned["judgements"], posted.marks or (), strict=True)
        for judgement, wanted in used:
            if there.get(judgement) != wanted:
                raise self._erased(judgement, posted.step)

    def _erased(self, judgement: int, step: int) -> InputError:
        return InputError(
            f"{self.store}: judgement {judgement}, which step {step} learned from, was erased on a "
            "person's request; the training can't go on without it: begin a new one in another folder"
        )

    def end(self) -> None:
        """The training is over: what is left of its tasks is given to people last."""
        with self.store.writing() as session:
            run = self._own(session)
            run.ended_at = now()
            close(session, select(LiveStep.id).where(LiveStep.run_id == run.id))

    def _own(self, session: Session) -> LiveRun:
        run = run_of(session, self.settings.key)
        if run is None:
            raise InputError(
                f"{self.store}: holds nothing of this training; name the store it began in"
            )
        return run

    # --- A step's batch ---------------------------------------------------------------------------

    def post(self, batch: Batch) -> dt.datetime | None:
        """Puts a batch before people, once; gives the deadline that it has.

        Raises InputError where the step has been posted with other answers.
        """
        with self.store.writing() as session:
            run = self._own(session)
            posted = step_of(session, run.id, batch.step)
            if posted is None:
                post_batch(session, run, self.settings, batch)
                return batch.deadline
            if posted.batch_hash != batch.digest:
                raise InputError(
                    f"{self.store}: step {batch.step} of this training was posted with other answers, "
                    "so that it isn't the one it was; begin a new one in another folder"
                )
            of_step = select(LiveTask.deadline).where(LiveTask.step_id == posted.id).limit(1)
            return session.scalar(of_step)

    def answers(self, step: int, numbers: Collection[int]) -> list[DrawnAnswer]:
        """The answers of a step to some of its prompts, as they were drawn."""
        with self.store.reading() as session:
            posted = step_of(session, self._own(session).id, step)
            return [] if posted is None else answers_of(session, posted.id, numbers)

    # --- What people have said --------------------------------------------------------------------

    def waiting(self, step: int) -> Waiting:
        """What a step may learn from now."""
        with self.store.reading() as session:
            run, settings = self._own(session), self.settings
            used, tasks = self._used(session), self._tasks_of(session, run.id, step)
            fresh = LiveStep.step >= step - settings.staleness
            standing = judged_tasks(session, run.id, is_current(), fresh)
            ever = judged_tasks(session, run.id, fresh)
        # Whoever says something else about what has been learned from counts once.
        counted = {row.assignment_id for row in ever if row.id in used}
        heard = Counter(row.task_id for row in standing)
        new: dict[Group, list[int]] = defaultdict(list)
        for row in standing:
            if row.assignment_id not in counted:
                new[row.step, row.number].append(row.id)
        enough = {
            group: all(heard[task] >= settings.least for task in own)
            for group, own in tasks.items()
        }
        waits = {
            group
            for group, own in tasks.items()
            if any(heard[task] < settings.wanted for task in own)
        }
        ready = {group: ids for group, ids in sorted(new.items()) if enough.get(group)}
        return Waiting(ready, len(waits))

    def places(self, step: int) -> dict[Group, int]:
        """How many judgements are wanted in all, by prompt, of this step and those that still count."""
        with self.store.reading() as session:
            tasks = self._tasks_of(session, self._own(session).id, step)
        return {group: len(own) * self.settings.wanted for group, own in tasks.items()}

    def _tasks_of(self, session: Session, run: int, step: int) -> dict[Group, list[int]]:
        """Tasks by prompt, of this step and those before it that still count."""
        rows = session.execute(
            select(LiveStep.step, LiveTask.number, LiveTask.task_id)
            .join(LiveTask, LiveTask.step_id == LiveStep.id)
            .where(
                LiveStep.run_id == run,
                LiveStep.step <= step,
                LiveStep.step >= step - self.settings.staleness,
            )
            .order_by(LiveTask.task_id)
        )
        tasks: dict[Group, list[int]] = defaultdict(list)
        for at, number, task in rows:
            tasks[at, number].append(task)
        return tasks

    def judgements(self, step: int, ids: Sequence[int]) -> list[LiveJudgement]:
        """What these said, which this step learns from. Raises InputError where one is gone."""
        with self.store.reading() as session:
            run = self._own(session).id
            rows = {
                row.id: row
                for part in parted(ids)
                for row in judged_tasks(session, run, Judgement.id.in_(part))
            }
            posted = step_of(session, run, step)
            if posted is not None:
                self._check_step(posted, {key: mark(row.submission) for key, row in rows.items()})
            return [what_was_said(session, rows[each]) for each in ids]

    # --- What a step learned from -----------------------------------------------------------------

    def learned(self, step: int) -> Learned | None:
        """What a step has learned from, or was about to; None where it hasn't decided."""
        with self.store.reading() as session:
            return self._learned(session).get(step)

    def decide(self, step: int, by: str, ids: Sequence[int], waits: int) -> Learned:
        """Writes down what a step is about to learn from, of what still stands. It is on the disk when
        this returns."""
        with self.store.writing() as session:
            run = self._own(session)
            posted = step_of(session, run.id, step)
            assert posted is not None, "a step posts its batch before it decides"
            used = self._used(session)
            standing = {row.id: row for row in judged_tasks(session, run.id, is_current())}
            here = tuple(each for each in ids if each in standing)
            first = step - self.settings.staleness
            old = judged_tasks(session, run.id, is_current(), LiveStep.step < first)
            stale = sum(row.id not in used for row in old)
            learned = Learned(by, here, len(used - standing.keys()), stale, waits)
            posted.learned = learned.to_json()
            posted.marks = [mark(standing[each].submission) for each in here]
        return learned

    def note(self, step: int, figures: Mapping[str, Any]) -> None:
        """The step's part of the curve that the lead sees."""
        with self.store.writing() as session:
            posted = step_of(session, self._own(session).id, step)
            if posted is not None:
                posted.figures = dict(figures)

    def _learned(self, session: Session) -> dict[int, Learned]:
        rows = session.execute(
            select(LiveStep.step, LiveStep.learned)
            .where(LiveStep.run_id == self._own(session).id, LiveStep.learned.is_not(None))
            .order_by(LiveStep.step)
        )
        return {step: Learned.from_json(data) for step, data in rows if data is not None}

    def _used(self, session: Session) -> set[int]:
        return {each for learned in self._learned(session).values() for each in learned.judgements}
