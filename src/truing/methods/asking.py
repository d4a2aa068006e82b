"""People as the reward of a training: their store, held for it, and samples that they judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow, Source
from truing.learn.sources.samples import OnPolicySamples
from truing.methods.setup import Setup
from truing.rewards.mixture import Mixture
from truing.rewards.people import people_asked, people_parts
from truing.runs.ranks import check_alone
from truing.runs.run import Run
from truing.spec.people import PeopleSpec
from truing.types import InputError, stable_hash

if TYPE_CHECKING:
    from truing.people.live.batches import LiveSettings
    from truing.people.live.queue import LiveQueue
    from truing.people.store import Store

RANKED = 7
"""Answers that a ranking shows at most."""
_BACK = "bring its store back, or begin anew elsewhere"
_CURVE = ("reward", "kl", "entropy", "late_steps", "late_ratio")
"""Figures of a step that the lead sees."""


def _asked(setup: Setup) -> PeopleSpec | None:
    """How people are asked; None where they aren't. A defence has an exact program for its reward."""
    asked = people_asked(setup.spec.reward)
    return asked if setup.spec.rl.contrast is None else None


def check_people(setup: Setup) -> None:
    """Raises InputError where people can't be asked as the spec says, before any time is spent."""
    asked = _asked(setup)
    if asked is None:
        return
    check_alone("reward.parts: people")
    if asked.ask == "ranking" and setup.spec.rl.samples_per_prompt > RANKED:
        raise InputError(
            f"rl.samples_per_prompt: people can't rank {setup.spec.rl.samples_per_prompt} answers at "
            f"once, at most {RANKED}; give fewer, or ask: comparison"
        )


def check_asking(setup: Setup) -> None:
    """Raises InputError where people have gone home before a new training begins, or where their store
    can't be had or is another training's."""
    # imported here: they load the database's library
    from truing.people.live.lock import training_lock
    from truing.people.tables import now

    asked = _asked(setup)
    if asked is None:
        return
    if asked.deadline is not None and asked.deadline <= now():
        raise InputError(
            f"{_place(setup)}.deadline: {asked.deadline.isoformat()} is past; give a time to come, or "
            "leave it out"
        )
    store = _opened(asked, _place(setup))
    try:
        with training_lock(store):
            pass  # it is held from the first step on; whoever has it by now will have it then
    finally:
        store.close()


Note = Callable[[int, LogRow], None]
"""Takes a step's row."""


@contextmanager
def judged_by_people(
    run: Run, setup: Setup, seed: int, samples: OnPolicySamples, checkpoint: Checkpoint
) -> Iterator[tuple[Source, Note]]:
    """The samples with rewards from people, where the spec asks them, and who is to see each step's row.

    Their store is held until the training ends. Raises InputError where it can't be had, is another's,
    or lacks what was learned from.
    """
    asked = _asked(setup)
    if asked is None:
        yield samples, lambda step, row: None
        return
    # imported here: they load the database's library
    from truing.learn.sources.people import with_people
    from truing.people.live.lock import training_lock
    from truing.people.live.queue import LiveQueue

    assert isinstance(samples.reward, Mixture)
    done = checkpoint.saved_step
    store = _opened(asked, _place(setup), done)
    try:
        with training_lock(store):
            queue = LiveQueue(store, _settings(run, setup, seed, asked))
            if done and not queue.is_known:
                raise InputError(
                    f"{store}: holds nothing of this training, which has done {done} steps; {_BACK}"
                )
            source = with_people(samples, queue, asked, samples.reward, setup.progress.note)
            yield source, lambda step, row: _note(queue, step, row)
            queue.end()
    finally:
        store.close()


def _opened(asked: PeopleSpec, where: str, done: int = 0) -> Store:
    """The store, which is made where none is; not so where steps are `done`, which it would lack."""
    from truing.people.store import open_store

    try:
        return open_store(asked.store, must_exist=done > 0)
    except InputError as error:
        text = str(error).removeprefix("--store: ")
        if done:
            text = f"{text.partition(';')[0]}; this training has done {done} steps: {_BACK}"
        raise InputError(f"{where}.store: {text}") from None


def _place(setup: Setup) -> str:
    """Where the spec asks people."""
    return f"reward.parts.{people_parts(setup.spec.reward)[0]}"


def _settings(run: Run, setup: Setup, seed: int, asked: PeopleSpec) -> LiveSettings:
    from truing.people.live.batches import LiveSettings

    name = f"{setup.named('rl')}-seed{seed}"
    began = str(run.record().get("created"))
    return LiveSettings(
        key=stable_hash("live", began, run.spec_digest, name),
        name=f"{run.folder.resolve().name}/{name}"[-200:],
        ask=asked.ask,
        wanted=asked.wanted,
        least=asked.least,
        staleness=asked.staleness,
        priority=asked.priority,
        consent=asked.consent,
        seed=seed,
    )


def _note(queue: LiveQueue, step: int, row: LogRow) -> None:
    """Puts a step's figures before the lead."""
    people = row["people"]
    counts = {key: people[key] for key in ("by", "changed", "stale", "open")}
    figures = {key: row[key] for key in _CURVE if row.get(key) is not None}
    queue.note(step, {**counts, "judgements": len(people["judgements"]), **figures})
