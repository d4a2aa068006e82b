"""Batches of a training as rows: its answers, and the tasks that people get about them."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from truing.data.messages import Messages
from truing.people.content import (
    NewCompletion,
    NewPrompt,
    NewTask,
    StoredCompletion,
    StoredPrompt,
    add_completions,
    add_prompts,
    add_tasks,
)
from truing.people.live.tables import LiveAnswer, LiveRun, LiveStep, LiveTask
from truing.people.tables import now
from truing.people.vocabulary import COMPLETIONS_NEEDED
from truing.types import stable_hash

EMPTY = "(an empty answer)"
"""What people see of an answer without text."""
Group = tuple[int, int]
"""A step, and which of its prompts."""


@dataclass(frozen=True)
class LiveSettings:
    """Whose tasks they are, and what is asked. `key` tells a training from all others."""

    key: str
    name: str
    ask: str
    wanted: int
    least: int
    staleness: int
    priority: int = 1
    consent: str = "own"
    seed: int = 0


class PostedAnswer(NamedTuple):
    """An answer as the policy drew it; `number` is which of the step's prompts it answers."""

    number: int
    text: str
    finished: bool
    tokens: Sequence[int]
    log_probs: Sequence[float]
    reference_log_probs: Sequence[float]


class DrawnAnswer(NamedTuple):
    """An answer with its row of completions, by which judgements name it."""

    answer: PostedAnswer
    completion: int


@dataclass(frozen=True)
class Batch:
    """A step's prompts and answers, and until when they are waited for."""

    step: int
    prompts: Sequence[Messages]
    answers: Sequence[PostedAnswer]
    deadline: dt.datetime | None = None

    @property
    def digest(self) -> str:
        """A hash of the answers' tokens."""
        return stable_hash("batch", json.dumps([list(each.tokens) for each in self.answers]))


def run_of(session: Session, key: str) -> LiveRun | None:
    """The training's row."""
    return session.scalar(select(LiveRun).where(LiveRun.key == key))


def step_of(session: Session, run: int, step: int) -> LiveStep | None:
    """The row of a training's step."""
    return session.scalar(select(LiveStep).where(LiveStep.run_id == run, LiveStep.step == step))


def post_batch(session: Session, run: LiveRun, settings: LiveSettings, batch: Batch) -> None:
    """Puts a batch before people. Those that are stale by now are given to them last."""
    added: Counter[str] = Counter()
    source, candidate = f"training {settings.name}", f"{settings.name} step {batch.step}"
    new = [NewPrompt(each, source, settings.consent) for each in batch.prompts]
    prompts = add_prompts(session, new, added)
    shown = [
        NewCompletion(prompts[each.number].id, candidate, each.text.strip() or EMPTY)
        for each in batch.answers
    ]
    completions = add_completions(session, shown, added)
    row = LiveStep(run_id=run.id, step=batch.step, batch_hash=batch.digest)
    session.add(row)
    session.flush()
    for place, (each, completion) in enumerate(zip(batch.answers, completions, strict=True)):
        values = {**each._asdict(), "tokens": list(each.tokens)} | {"completion_id": completion.id}
        session.add(LiveAnswer(step_id=row.id, place=place, **values))
    _add_tasks(session, row, settings, batch, list(_tasks(settings, prompts, batch, completions)))
    stale = LiveStep.step < batch.step - settings.staleness
    close(session, select(LiveStep.id).where(LiveStep.run_id == run.id, stale))


def _add_tasks(
    session: Session,
    step: LiveStep,
    settings: LiveSettings,
    batch: Batch,
    tasks: Sequence[tuple[int, NewTask]],
) -> None:
    made = add_tasks(session, [task for _, task in tasks], Counter())
    for (number, _), task in zip(tasks, made, strict=True):
        session.add(
            LiveTask(
                task_id=task.id,
                step_id=step.id,
                number=number,
                priority=settings.priority,
                deadline=batch.deadline,
            )
        )


def _tasks(
    settings: LiveSettings,
    prompts: Sequence[StoredPrompt],
    batch: Batch,
    completions: Sequence[StoredCompletion],
) -> Iterable[tuple[int, NewTask]]:
    """What is asked about a batch. Equal answers to a prompt are one."""
    for number, prompt in enumerate(prompts):
        own = dict.fromkeys(
            completion
            for each, completion in zip(batch.answers, completions, strict=True)
            if each.number == number
        )
        for group in _shown_together(settings.ask, list(own)):
            yield number, NewTask(settings.ask, prompt, group, settings.wanted, settings.seed)


def answers_of(session: Session, step: int, numbers: Collection[int]) -> list[DrawnAnswer]:
    """The answers to some of the prompts of a step (its row's id), as they were drawn."""
    rows = session.scalars(
        select(LiveAnswer)
        .where(LiveAnswer.step_id == step, LiveAnswer.number.in_(list(numbers)))
        .order_by(LiveAnswer.place)
    )
    return [
        DrawnAnswer(
            PostedAnswer(
                each.number,
                each.text,
                each.finished,
                each.tokens,
                each.log_probs,
                each.reference_log_probs,
            ),
            each.completion_id,
        )
        for each in rows
    ]


def close(session: Session, steps: Select[int]) -> None:
    """From now on the tasks of these steps are given to people last."""
    moment = now()
    later = or_(LiveTask.deadline.is_(None), LiveTask.deadline > moment)
    session.execute(
        update(LiveTask)
        .where(LiveTask.step_id.in_(steps), later)
        .values(deadline=moment)
        .execution_options(synchronize_session=False)
    )


def _shown_together(
    ask: str, answers: list[StoredCompletion]
) -> list[tuple[StoredCompletion, ...]]:
    """The different answers to a prompt that tasks show: one each, all, or each with the next one."""
    if ask == "rating":
        return [(each,) for each in answers]
    if len(answers) < 2:
        return []
    if ask == "ranking":
        return [tuple(answers[: COMPLETIONS_NEEDED[ask][1]])]
    if len(answers) == 2:
        return [(answers[0], answers[1])]
    return [(each, answers[place - 1]) for place, each in enumerate(answers)]
