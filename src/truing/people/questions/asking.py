"""Sets of questions in the store: putting them there, asking them about answers, what may be answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.people.content import (
    NewTask,
    StoredCompletion,
    StoredPrompt,
    add_tasks,
    insert_parts,
    parted,
)
from truing.people.observations import QUESTIONS
from truing.people.questions.sets import Question, QuestionSet, question_set
from truing.people.questions.tables import KIND, SetTask, StoredSet
from truing.people.tables import Completion, Prompt, Task, TaskCompletion
from truing.statistics.agreement import Scale
from truing.types import InputError

Asked = tuple[StoredPrompt, Sequence[StoredCompletion]]


def stored_sets(session: Session) -> dict[str, QuestionSet]:
    """All sets of the store by name, the oldest first."""
    rows = session.scalars(select(StoredSet).order_by(StoredSet.id))
    return {row.name: question_set(row.name, row.questions) for row in rows}


def set_of_task(session: Session, task_id: int) -> QuestionSet | None:
    """What a task asks, where it asks the questions of a set."""
    asked = select(StoredSet).join(SetTask, SetTask.set_id == StoredSet.id)
    row = session.scalar(asked.where(SetTask.task_id == task_id))
    return None if row is None else question_set(row.name, row.questions)


def asked_questions(session: Session) -> dict[str, Question]:
    """Every question of the store's sets by its key."""
    return {key: each for of in stored_sets(session).values() for key, each in of.by_key().items()}


def question_types(asked: Mapping[str, Question]) -> dict[str, tuple[str, Scale]]:
    """As `QUESTIONS`, with the questions of sets behind."""
    return QUESTIONS | {key: (each.question, each.scale) for key, each in asked.items()}


def _set_id(session: Session, asked: QuestionSet) -> int:
    """The set's row. Raises InputError where its name stands for other questions."""
    questions = [each.to_json() for each in asked.questions]
    row = session.scalar(select(StoredSet).where(StoredSet.name == asked.name))
    if row is None:
        row = StoredSet(name=asked.name, questions=questions)
        session.add(row)
        session.flush()
    if row.questions != questions:
        raise InputError(
            f"name: the store has other questions under {asked.name!r}, which people may have "
            "answered; give the changed set another name"
        )
    return row.id


def answers_in_store(session: Session) -> list[Asked]:
    """Every prompt with the answers to it; options of surveys aren't answers."""
    option = (
        select(TaskCompletion.completion_id)
        .join(Task, Task.id == TaskCompletion.task_id)
        .where(Task.kind == "opinion")
    )
    query = (
        select(
            Prompt.id, Prompt.text_hash, Completion.id, Completion.candidate, Completion.text_hash
        )
        .select_from(Prompt)
        .join(Completion, Completion.prompt_id == Prompt.id)
        .where(Completion.id.not_in(option))
        .order_by(Prompt.id, Completion.id)
    )
    answers: dict[tuple[int, str], list[StoredCompletion]] = {}
    for prompt, digest, id_, candidate, text in session.execute(query):
        answers.setdefault((prompt, digest), []).append(StoredCompletion(id_, candidate, text))
    return [(StoredPrompt(*prompt, []), found) for prompt, found in answers.items()]


def ask_questions(
    session: Session,
    asked: QuestionSet,
    about: Sequence[Asked],
    *,
    wanted: int = 1,
    seed: int = 0,
    added: Counter[str] | None = None,
) -> int:
    """Tasks that ask a set's questions about each answer; how many, those there before included.

    Raises InputError where there is nothing to ask about, and where the set's name is taken.
    """
    set_id = _set_id(session, asked)
    new = [
        NewTask(KIND, prompt, (answer,), wanted, seed, asked.name)
        for prompt, answers in about
        for answer in dict.fromkeys(answers)
    ]
    if not new:
        raise InputError(
            "the store has no answers to ask about; bring some in with 'truing data import FILE', or "
            "name a run with --run"
        )
    ids = [task.id for task in add_tasks(session, new, added if added is not None else Counter())]
    there: set[int] = set()
    for part in parted(ids):
        there.update(session.scalars(select(SetTask.task_id).where(SetTask.task_id.in_(part))))
    rows = [{"task_id": id_, "set_id": set_id} for id_ in dict.fromkeys(ids) if id_ not in there]
    if rows:
        insert_parts(session, SetTask, rows)
    return len(new)


def checked_grades(session: Session, task_id: int, given: Mapping[str, str]) -> dict[str, str]:
    """The grades that a task's questions were given, by key; what is left open isn't there.

    Raises InputError for a question without a grade, and for what the set doesn't ask.
    """
    asked = set_of_task(session, task_id)
    questions = asked.by_key() if asked else {}
    if unknown := [key for key, grade in given.items() if grade and key not in questions]:
        raise InputError(f"{unknown[0]}: isn't asked here; reload the page")
    grades = {key: given[key] for key in questions if given.get(key)}
    for key, question in questions.items():
        numbers = [str(number) for number in range(1, len(question.grades) + 1)]
        if key not in grades and question.optional:
            continue
        if grades.get(key) not in numbers:
            raise InputError(f"{question.question!r}: choose a grade")
    if questions and not grades:
        raise InputError("answer at least one question, or skip the task")
    return grades


def grade_rows(questions: Mapping[str, Question], flags: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a judgement says, a row for each question that was answered."""
    return [
        {
            "questions": key.partition(".")[0],
            "question": question.name,
            "asked": question.question,
            "grade": question.grades[int(flags[key]) - 1],
            "number": int(flags[key]),
            "grades": list(question.grades),
            "scale": question.scale,
        }
        for key, question in questions.items()
        if key in flags
    ]
