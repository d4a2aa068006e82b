"""Surveys of a team's own: questions with options that people choose one of, and how groups of them chose.

A question is a prompt, its options are the prompt's completions: the candidate of each says where it
stands on the declared scale, or that it is a refusal ("don't know"). Groups are what people say of
themselves on the page.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from truing.data.survey import GroupShares, Survey, SurveyQuestion
from truing.data.surveys.json_lines import own_records
from truing.data.surveys.question import FEWEST_PEOPLE
from truing.people.assigning import REFUSAL, is_current
from truing.people.content import (
    NewCompletion,
    NewPrompt,
    NewTask,
    add_completions,
    add_prompts,
    add_tasks,
)
from truing.people.disclosure import Group, withheld
from truing.people.store import Store
from truing.people.tables import Annotator, Assignment, Flag, Judgement, Task
from truing.types import InputError

KIND = "opinion"
EVERYBODY = "everybody"
"""The dimension, and its one value, of all who answered."""
SMALL = f"group(s) of fewer than {FEWEST_PEOPLE} people, over all questions"
TELLING = "group(s) whose shares would give a smaller group away by difference"
Chosen = Mapping[Group, Mapping[int, int]]
"""By group: who chose which completion."""
_OPTION = "option"
_POSITION = re.compile(rf"{_OPTION} at (.+)")
_TOPIC = " · "
"""Between the source of a question and its topic, in the source of its prompt."""


def ask_survey(store: Store, survey: Survey, wanted: int, seed: int) -> int:
    """Puts a survey's questions into the store, each for `wanted` people; the number of tasks.

    A question that is there already, with the same options, isn't asked twice.
    """
    added: Counter[str] = Counter()
    with store.writing() as session:
        prompts = add_prompts(session, [_prompt(each, survey) for each in survey.questions], added)
        tasks = []
        for prompt, question in zip(prompts, survey.questions, strict=True):
            texts = [NewCompletion(prompt.id, *each) for each in _options(question)]
            options = add_completions(session, texts, added)
            tasks.append(NewTask(KIND, prompt, options, wanted, seed))
        add_tasks(session, tasks, added)
    return len(tasks)


def _prompt(question: SurveyQuestion, survey: Survey) -> NewPrompt:
    messages = [{"role": "user", "content": question.question}]
    source = _TOPIC.join(filter(None, (question.source or survey.source, question.topic)))
    return NewPrompt(messages, source, "own", None)


def _options(question: SurveyQuestion) -> Iterator[tuple[str, str]]:
    """Candidate and text of each option, and of each refusal behind them."""
    for place, text in enumerate(question.options):
        at = f" at {question.scale[place]!r}" if question.scale else ""
        yield _OPTION + at, text
    for text in question.refusals:
        yield REFUSAL, text


def survey_records(
    session: Session, consents: Collection[str] = ()
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """What people chose, as lines of a survey file, and how many groups are left out, by the reason.

    Every question that anybody answered stands there, with the shares of each group that at least
    `FEWEST_PEOPLE` people of it chose an option of, and that gives no smaller group away.
    """
    groups = _groups_by_person(session)
    left_out: Counter[str] = Counter()
    questions = []
    for task, answers in _answers(session).items():
        if consents and task.prompt.consent not in consents:
            continue
        chosen = _chosen(task, answers, groups)
        small, telling = withheld(chosen, FEWEST_PEOPLE)
        left_out += Counter({SMALL: len(small), TELLING: len(telling)})
        shown = {group: of for group, of in chosen.items() if group not in small | telling}
        questions.append(_question(task, shown))
    return own_records(questions), dict(left_out)


def _groups_by_person(session: Session) -> dict[int, list[Group]]:
    return {
        person.id: [
            (EVERYBODY, EVERYBODY),
            *((each.dimension, each.value) for each in person.groups),
        ]
        for person in session.scalars(select(Annotator))
    }


def _answers(session: Session) -> dict[Task, list[tuple[int, int]]]:
    """Who chose which completion, by task, of what stands."""
    rows = session.execute(
        select(Task, Judgement.annotator_id, Flag.value)
        .join(Assignment, Assignment.task_id == Task.id)
        .join(Judgement, Judgement.assignment_id == Assignment.id)
        .join(Flag, Flag.judgement_id == Judgement.id)
        .where(is_current(), Judgement.kind == KIND, Flag.name == KIND)
        .order_by(Task.id, Judgement.id)
    )
    answers: dict[Task, list[tuple[int, int]]] = defaultdict(list)
    for task, person, value in rows:
        answers[task].append((person, int(value)))
    return answers


def _chosen(
    task: Task, answers: Sequence[tuple[int, int]], groups: Mapping[int, Sequence[Group]]
) -> Chosen:
    """What people chose, refusals aside."""
    options = {each.completion.id for each in task.shown if each.completion.candidate != REFUSAL}
    chosen: dict[Group, dict[int, int]] = defaultdict(dict)
    for person, option in answers:
        if option in options:
            for group in groups[person]:
                chosen[group][person] = option
    return chosen


def _question(task: Task, chosen: Chosen) -> SurveyQuestion:
    shown = [each.completion for each in task.shown]
    options = {each.id: each for each in shown if each.candidate != REFUSAL}
    shares: dict[str, dict[str, GroupShares]] = {}
    for (dimension, value), by_person in sorted(chosen.items()):
        counts, n = Counter(by_person.values()), len(by_person)
        group = GroupShares(tuple(counts[each] / n for each in options), n)
        shares.setdefault(dimension, {})[value] = group
    source, _, topic = task.prompt.source.partition(_TOPIC)
    return SurveyQuestion(
        id=task.key,
        question=task.prompt.messages[-1]["content"],
        options=tuple(each.text for each in options.values()),
        scale=_scale([each.candidate for each in options.values()]),
        refusals=tuple(each.text for each in shown if each.candidate == REFUSAL),
        topic=topic,
        source=source,
        groups=shares,
    )


def _scale(candidates: Sequence[str]) -> tuple[float, ...] | None:
    found = [_POSITION.fullmatch(each) for each in candidates]
    return tuple(float(each[1]) for each in found if each) if all(found) else None


def check_wanted(wanted: int | None) -> int:
    """How many people are to answer each question. Raises InputError where nobody has said."""
    if wanted is None:
        raise InputError(
            "--wanted: missing; say how many people are to answer each question of the survey, at "
            f"least {FEWEST_PEOPLE} of each group that is to count"
        )
    return wanted
