"""Recording what sources say: people elsewhere, whose judgements come in files, and users of the pilot.

A source may say several things about the same texts at once, and all of them stand. What it says later
supersedes what it said before, one for one.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.people.annotators import source_annotators
from truing.people.answers import Answer, rows_of
from truing.people.assigning import display_order
from truing.people.content import (
    NewTask,
    StoredCompletion,
    StoredPrompt,
    StoredTask,
    add_tasks,
    insert_parts,
    insert_rows,
    parted,
)
from truing.people.tables import Assignment, Base, Judgement
from truing.types import stable_hash


@dataclass(frozen=True)
class Statement:
    """What a source says. The answer's places are those of `completions`."""

    judge: str
    kind: str
    prompt: StoredPrompt
    completions: tuple[StoredCompletion, ...]
    answer: Answer
    submission: str


@dataclass
class Recorded:
    """What became of statements: how many were there before, how many earlier ones are superseded.

    `gone` counts those that were there and are superseded themselves.
    """

    there: int = 0
    gone: int = 0
    superseded: int = 0


@dataclass
class _Assigned:
    """An assignment of a source: what it said that stands, oldest first, and the last revision."""

    id: int
    order: list[int]
    standing: list[int] = field(default_factory=list)
    revision: int = 0


def submission_of(
    judge: str, kind: str, prompt: str, texts: Sequence[str], answer: Answer, again: int = 0
) -> str:
    """Names a statement of a file, so that importing the file twice doesn't record it twice.

    `prompt` and `texts` are hashes; `again` says how often the file has said exactly this before.
    """
    best = {"": None, "first": 0, "second": 1}.get(answer.preferred, answer.preferred)
    words = [
        answer.text,
        str(answer.value),
        str(best),
        str(list(answer.ranks.values())),
        json.dumps(answer.flags, sort_keys=True) if answer.flags else "{}",
    ]
    words += [answer.use_case] if answer.use_case else []
    words += [f"again {again}"] if again else []
    return stable_hash("imported", judge, kind, prompt, *texts, *words)


def record_elsewhere(
    session: Session,
    statements: Sequence[Statement],
    together: Collection[str],
    added: Counter[str],
) -> Recorded:
    """Record statements that aren't there yet. `together`: submissions that don't supersede each other."""
    recorded = Recorded()
    new = _new(session, statements, recorded)
    if not new:
        return recorded
    judges = source_annotators(session, (each.judge for each in new))
    tasks = add_tasks(
        session, [NewTask(s.kind, s.prompt, s.completions, wanted=0) for s in new], added
    )
    pairs = [(task, judges[each.judge]) for task, each in zip(tasks, new, strict=True)]
    assigned = _assigned(session, pairs)
    _look_back(session, assigned.values(), together)
    rows = []
    answers = []
    for (task, judge), each in zip(pairs, new, strict=True):
        assignment = assigned[task.id, judge]
        assignment.revision += 1
        earlier = assignment.standing.pop(0) if assignment.standing else None
        recorded.superseded += earlier is not None
        rows.append(_row(each, assignment, judge, earlier))
        answers.append(_in_order(each, task, assignment.order))
    _insert(session, new, rows, answers, added)
    return recorded


def _new(
    session: Session, statements: Sequence[Statement], recorded: Recorded
) -> Sequence[Statement]:
    """The statements that the store doesn't have."""
    there: dict[str, int] = {}
    for part in parted(each.submission for each in statements):
        stored = select(Judgement.submission, Judgement.id).where(Judgement.submission.in_(part))
        there |= {submission: id_ for submission, id_ in session.execute(stored)}
    for ids in parted(there.values()):
        superseding = select(Judgement.supersedes_id).where(Judgement.supersedes_id.in_(ids))
        recorded.gone += len(session.scalars(superseding).all())
    recorded.there = len(there)
    return [each for each in statements if each.submission not in there]


def _assigned(
    session: Session, pairs: Sequence[tuple[StoredTask, int]]
) -> dict[tuple[int, int], _Assigned]:
    """The assignments of these tasks to these judges, made where there are none."""
    tasks = {(task.id, judge): task for task, judge in pairs}
    assigned: dict[tuple[int, int], _Assigned] = {}
    for part in parted(task.id for task, _ in pairs):
        stored = select(
            Assignment.task_id, Assignment.annotator_id, Assignment.id, Assignment.order
        ).where(Assignment.task_id.in_(part))
        for task, judge, id_, order in session.execute(stored):
            if (task, judge) in tasks:
                assigned[task, judge] = _Assigned(id_, order)
    new = [pair for pair in tasks if pair not in assigned]
    rows: list[dict[str, Any]] = [
        {
            "task_id": pair[0],
            "annotator_id": pair[1],
            "slot": None,
            "order": display_order(tasks[pair].sort_key, len(tasks[pair].completions), pair[1]),
        }
        for pair in new
    ]
    ids = insert_rows(session, Assignment, rows, Counter())
    for pair, id_, row in zip(new, ids, rows, strict=True):
        assigned[pair] = _Assigned(id_, row["order"])
    return assigned


def _look_back(
    session: Session, assigned: Collection[_Assigned], together: Collection[str]
) -> None:
    """Find out what was said on the assignments before, other than what is said together now."""
    by_id = {each.id: each for each in assigned}
    gone: set[int | None] = set()
    said: defaultdict[int, list[int]] = defaultdict(list)
    for part in parted(by_id):
        stored = (
            select(
                Judgement.assignment_id,
                Judgement.id,
                Judgement.revision,
                Judgement.supersedes_id,
                Judgement.submission,
            )
            .where(Judgement.assignment_id.in_(part))
            .order_by(Judgement.revision)
        )
        for assignment, id_, revision, supersedes, submission in session.execute(stored):
            by_id[assignment].revision = revision
            gone.add(supersedes)
            if submission not in together:
                said[assignment].append(id_)
    for assignment, ids in said.items():
        by_id[assignment].standing = [id_ for id_ in ids if id_ not in gone]


def _row(
    statement: Statement, assignment: _Assigned, judge: int, earlier: int | None
) -> dict[str, Any]:
    return {
        "submission": statement.submission,
        "assignment_id": assignment.id,
        "annotator_id": judge,
        "kind": statement.kind,
        "revision": assignment.revision,
        "supersedes_id": earlier,
        "prompt_hash": statement.prompt.text_hash,
        "seconds": None,
        "note": "",
        "reason": "",
    }


def _in_order(
    statement: Statement, task: StoredTask, order: Sequence[int]
) -> tuple[Answer, list[StoredCompletion]]:
    """The answer and the completions in the order in which the task shows them to the judge.

    The task may be older than the statement and have the completions in another order.
    """
    by_id = {each.id: each for each in statement.completions}
    shown = [by_id[task.completions[position]] for position in order]
    if len(shown) < 2:
        return statement.answer, shown
    place = [shown.index(each) for each in statement.completions]
    answer = statement.answer
    preferred = answer.preferred
    if preferred in ("first", "second"):
        preferred = ("first", "second")[place[("first", "second").index(preferred)]]
    ranks = {place[given]: rank for given, rank in answer.ranks.items()}
    return replace(answer, preferred=preferred, ranks=ranks), shown


def _insert(
    session: Session,
    statements: Sequence[Statement],
    rows: Sequence[dict[str, Any]],
    answers: Sequence[tuple[Answer, list[StoredCompletion]]],
    added: Counter[str],
) -> None:
    details: dict[type[Base], list[dict[str, Any]]] = {}
    ids = insert_rows(session, Judgement, rows, added)
    for id_, each, (answer, shown) in zip(ids, statements, answers, strict=True):
        for table, values in rows_of(each.kind, answer, shown, each.prompt.messages):
            details.setdefault(table, []).append({"judgement_id": id_, **values})
    for table, parts in details.items():
        insert_parts(session, table, parts)
