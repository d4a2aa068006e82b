"""Putting prompts, completions and tasks into the store, many in a few statements.

What is there already is not added twice. Counts of new rows go to `added`, by table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import insert, inspect, select, update
from sqlalchemy.orm import Session

from truing.data.messages import Messages, prompt_hash, text_hash
from truing.people.questions.tables import KIND
from truing.people.tables import (
    Annotator,
    Assignment,
    Base,
    Completion,
    Judgement,
    Prompt,
    Task,
    TaskCompletion,
)
from truing.people.vocabulary import COMPLETIONS_NEEDED, CONSENTS, KINDS
from truing.types import InputError, did_you_mean, stable_hash

_MOST_VALUES = 900
"""Values in one condition: databases limit how many there may be."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class NewPrompt:
    """A prompt as it comes in."""

    messages: Messages
    source: str
    consent: str
    user_key: str | None = None

    @cached_property
    def text_hash(self) -> str:
        """SHA-256 of the messages."""
        return prompt_hash(self.messages)

    def row(self) -> dict[str, Any]:
        """Its row of prompts."""
        return {
            "messages": self.messages,
            "text_hash": self.text_hash,
            "source": self.source,
            "consent": self.consent,
            "user_key": self.user_key,
        }


class StoredPrompt(NamedTuple):
    """A row of prompts."""

    id: int
    text_hash: str
    messages: Messages


class NewCompletion(NamedTuple):
    """An answer to a stored prompt as it comes in."""

    prompt_id: int
    candidate: str
    text: str


class StoredCompletion(NamedTuple):
    """A row of completions."""

    id: int
    candidate: str
    text_hash: str


class NewTask(NamedTuple):
    """A task of a kind about stored texts, for `wanted` people; the seed draws its place.

    With 0 wanted it only holds what was judged elsewhere, and may have more completions than a page.
    Of the kind questions, `question_set` names the set.
    """

    kind: str
    prompt: StoredPrompt
    completions: Sequence[StoredCompletion] = ()
    wanted: int = 1
    seed: int = 0
    question_set: str = ""

    @property
    def key(self) -> str:
        """A hash of what it asks about."""
        parts = sorted(f"{each.candidate}\n{each.text_hash}" for each in self.completions)
        kind = f"{self.kind} {self.question_set}" if self.question_set else self.kind
        return stable_hash("task", kind, self.prompt.text_hash, *parts)


class StoredTask(NamedTuple):
    """A row of tasks; `completions` are ids by position."""

    id: int
    sort_key: str
    completions: tuple[int, ...]


def check_consents(consents: Iterable[str]) -> None:
    """Raises InputError for a word that no consent has."""
    for consent in consents:
        if consent not in CONSENTS:
            hint = did_you_mean(consent, CONSENTS)
            raise InputError(f"consent: no {consent!r}; {hint}give one of {', '.join(CONSENTS)}")


def parted(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Distinct values in lists that are short enough for one statement."""
    distinct = list(dict.fromkeys(values))
    for start in range(0, len(distinct), _MOST_VALUES):
        yield distinct[start : start + _MOST_VALUES]


_UNIQUE: dict[type[Base], tuple[str, ...]] = {
    Annotator: ("name",),
    Prompt: ("text_hash",),
    Completion: ("prompt_id", "candidate", "text_hash"),
    Task: ("key",),
    Assignment: ("task_id", "annotator_id"),
    Judgement: ("submission",),
}
"""What tells the rows of a table apart before they have an id."""


def insert_rows(
    session: Session, table: type[Base], rows: Sequence[dict[str, Any]], added: Counter[str]
) -> list[int]:
    """Ids of new rows, in the order given."""
    if not rows:
        return []
    added[table.__tablename__] += len(rows)
    insert_parts(session, table, rows)
    first, *others = _UNIQUE[table]
    # Asked for afterwards: drivers insert many rows at once only where they needn't give ids back.
    columns = [getattr(table, name) for name in ("id", first, *others)]
    ids: dict[tuple[Any, ...], int] = {}
    for part in parted(row[first] for row in rows):
        stored = session.execute(select(*columns).where(columns[1].in_(part)))
        ids |= {tuple(key): id_ for id_, *key in stored}
    return [ids[tuple(row[name] for name in (first, *others))] for row in rows]


def insert_parts(session: Session, table: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """New rows of a table, whose ids nobody needs; by the names that attributes have."""
    columns = {each.key: each.columns[0].name for each in inspect(table).column_attrs}
    named = [{columns[key]: value for key, value in row.items()} for row in rows]
    session.connection().execute(insert(table), named)


def add_prompts(
    session: Session, wanted: Sequence[NewPrompt], added: Counter[str]
) -> list[StoredPrompt]:
    """The prompts with these messages; the first source and consent of a text stay."""
    check_consents(dict.fromkeys(each.consent for each in wanted))
    digests = [each.text_hash for each in wanted]
    ids: dict[str, int] = {}
    for part in parted(digests):
        stored = select(Prompt.text_hash, Prompt.id).where(Prompt.text_hash.in_(part))
        ids |= {digest: id_ for digest, id_ in session.execute(stored)}
    rows: dict[str, dict[str, Any]] = {}
    for digest, each in zip(digests, wanted, strict=True):
        if digest not in ids:
            rows.setdefault(digest, each.row())
    ids |= zip(rows, insert_rows(session, Prompt, list(rows.values()), added), strict=True)
    return [
        StoredPrompt(ids[digest], digest, each.messages)
        for digest, each in zip(digests, wanted, strict=True)
    ]


def add_completions(
    session: Session, wanted: Sequence[NewCompletion], added: Counter[str]
) -> list[StoredCompletion]:
    """The candidates' completions with these texts."""
    keys = [(each.prompt_id, each.candidate, text_hash(each.text)) for each in wanted]
    ids: dict[tuple[int, str, str], int] = {}
    for part in parted(each.prompt_id for each in wanted):
        stored = select(
            Completion.prompt_id, Completion.candidate, Completion.text_hash, Completion.id
        ).where(Completion.prompt_id.in_(part))
        ids |= {
            (prompt, name, digest): id_ for prompt, name, digest, id_ in session.execute(stored)
        }
    rows: dict[tuple[int, str, str], dict[str, Any]] = {}
    for key, each in zip(keys, wanted, strict=True):
        if key not in ids:
            rows.setdefault(key, {**each._asdict(), "text_hash": key[2]})
    ids |= zip(rows, insert_rows(session, Completion, list(rows.values()), added), strict=True)
    return [StoredCompletion(ids[key], key[1], key[2]) for key in keys]


def _check_task(task: NewTask) -> None:
    if task.kind not in KINDS:
        hint = did_you_mean(task.kind, KINDS)
        raise InputError(f"task: no kind {task.kind!r}; {hint}give one of {', '.join(KINDS)}")
    if task.kind == KIND and not task.question_set:
        raise InputError(
            "questions: are those of a set; give its file with 'truing label --questions'"
        )
    fewest, most = COMPLETIONS_NEEDED[task.kind]
    count = len(task.completions)
    if not fewest <= count <= (most if task.wanted else max(most, count)):
        span = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise InputError(f"a {task.kind} is about {span} completion(s), not {count}")


def _stored_tasks(session: Session, keys: Iterable[str]) -> dict[str, tuple[StoredTask, int]]:
    """Tasks by key, with how many people each wants."""
    rows = [
        row
        for part in parted(keys)
        for row in session.execute(
            select(Task.key, Task.id, Task.sort_key, Task.wanted).where(Task.key.in_(part))
        )
    ]
    shown: dict[int, list[int]] = {row.id: [] for row in rows}
    for ids in parted(shown):
        stored = select(TaskCompletion.task_id, TaskCompletion.completion_id)
        of_these = stored.where(TaskCompletion.task_id.in_(ids)).order_by(TaskCompletion.position)
        for task, completion in session.execute(of_these):
            shown[task].append(completion)
    return {
        key: (StoredTask(id_, sort_key, tuple(shown[id_])), places)
        for key, id_, sort_key, places in rows
    }


def _insert_tasks(
    session: Session, tasks: dict[str, NewTask], places: dict[str, int], added: Counter[str]
) -> dict[str, StoredTask]:
    rows = [
        {
            "kind": task.kind,
            "prompt_id": task.prompt.id,
            "wanted": places[key],
            "key": key,
            "sort_key": stable_hash("task order", str(task.seed), key)[:16],
        }
        for key, task in tasks.items()
    ]
    ids = insert_rows(session, Task, rows, added)
    new = {
        key: StoredTask(id_, str(row["sort_key"]), tuple(each.id for each in task.completions))
        for (key, task), id_, row in zip(tasks.items(), ids, rows, strict=True)
    }
    shown = [
        {"task_id": task.id, "position": position, "completion_id": completion}
        for task in new.values()
        for position, completion in enumerate(task.completions)
    ]
    if shown:
        insert_parts(session, TaskCompletion, shown)
    return new


def add_tasks(session: Session, wanted: Sequence[NewTask], added: Counter[str]) -> list[StoredTask]:
    """The tasks about these texts. One that was judged elsewhere (0 wanted) may be asked here too.

    Raises InputError for an unknown kind or a number of completions that the kind can't show.
    """
    for task in wanted:
        _check_task(task)
    keys = [task.key for task in wanted]
    stored = _stored_tasks(session, keys)
    places: dict[str, int] = {}
    new: dict[str, NewTask] = {}
    for key, task in zip(keys, wanted, strict=True):
        places[key] = max(places.get(key, 0), task.wanted)
        if key not in stored:
            new.setdefault(key, task)
    tasks = {key: row for key, (row, _) in stored.items()}
    for key, (row, before) in stored.items():
        if places[key] > before:
            session.execute(update(Task).where(Task.id == row.id).values(wanted=places[key]))
    tasks |= _insert_tasks(session, new, places, added)
    return [tasks[key] for key in keys]


def add_prompt(
    session: Session, messages: Messages, *, source: str, consent: str, user_key: str | None = None
) -> Prompt:
    """The prompt with these messages; the first source and consent of a text stay."""
    new = NewPrompt(messages, source, consent, user_key)
    [stored] = add_prompts(session, [new], Counter())
    return session.get_one(Prompt, stored.id)


def add_completion(session: Session, prompt: Prompt, candidate: str, text: str) -> Completion:
    """The candidate's completion with this text."""
    [stored] = add_completions(session, [NewCompletion(prompt.id, candidate, text)], Counter())
    return session.get_one(Completion, stored.id)


def stored_prompt(prompt: Prompt) -> StoredPrompt:
    """A prompt's row as a value."""
    return StoredPrompt(prompt.id, prompt.text_hash, prompt.messages)


def stored_completion(completion: Completion) -> StoredCompletion:
    """A completion's row as a value."""
    return StoredCompletion(completion.id, completion.candidate, completion.text_hash)


def add_task(
    session: Session,
    kind: str,
    prompt: Prompt,
    completions: Sequence[Completion] = (),
    *,
    wanted: int = 1,
    seed: int = 0,
) -> Task:
    """The task of this kind about these texts; see `NewTask` and `add_tasks`."""
    answers = tuple(map(stored_completion, completions))
    new = NewTask(kind, stored_prompt(prompt), answers, wanted, seed)
    [stored] = add_tasks(session, [new], Counter())
    return session.get_one(Task, stored.id)
