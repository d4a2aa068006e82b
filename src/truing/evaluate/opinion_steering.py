"""How a respondent answers that is asked to answer as a group of people would: how much better each group
is then represented.

Three ways: a *question* about itself that it has answered, a *biography* in the first person, and a
*portrayal* of somebody else. Answers are read by letters, as those without steering are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from truing.data.survey import SurveyQuestion
from truing.data.surveys.readings import OPINIONS as NAME
from truing.data.surveys.steering import WAYS, SteeredTo, Way
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.opinion_prompts import OpinionsAsked
from truing.evaluate.opinion_readings import Answered, by_letters
from truing.evaluate.opinion_scores import LONE_GROUP, NO_ORDER, group_scores
from truing.evaluate.respondent import Respondent
from truing.types import Unscored

_BEFORE: dict[Way, str] = {
    "question": "Question: What do you put down for yourself under “{dimension}”?\nAnswer: {value}\n\n",
    "biography": "A few words about me. Whenever somebody asks for my {dimension}, I say: {value}. It is "
    "a part of my life, and of how I look at things.\n\n",
    "portrayal": "Answer the question below as people would whose {dimension} is: {value}.\n\n",
}  # fmt: skip


def before(way: Way, group: SteeredTo) -> str:
    """What stands in front of each question to steer to the group."""
    return _BEFORE[way].format(dimension=group.dimension, value=group.value)


Gains = dict[str, dict[str, dict[str, Any]]]
"""Of one question: group steered to, way, and `own` gain and that of `others`, or why it is `unscored`."""


def steered(
    context: EvalContext,
    respondent: Respondent,
    asked: OpinionsAsked,
    unsteered: Sequence[Answered | Unscored] | None,
) -> dict[str, Gains]:
    """The gains of each question, by its id, that has a group which is steered to.

    `unsteered` are the answers by letters without steering; where nobody asked for them, they are asked.
    """
    gains: dict[str, Gains] = defaultdict(dict)
    if not asked.steer:
        return gains
    questions = asked.survey.questions
    if unsteered is None:
        unsteered = by_letters(respondent, questions, asked.orders)
    plain = {each.id: answer for each, answer in zip(questions, unsteered, strict=True)}
    for group in asked.steer:
        of_group = [
            each for each in questions if group.value in each.groups.get(group.dimension, {})
        ]
        for way in WAYS:
            answers = _answers(context, respondent, asked, of_group, group, way)
            for each in of_group:
                of_way = _gains(each, group, plain[each.id], answers.get(each.id))
                gains[each.id].setdefault(group.name, {})[way] = of_way
    return gains


def _answers(
    context: EvalContext,
    respondent: Respondent,
    asked: OpinionsAsked,
    questions: Sequence[SurveyQuestion],
    group: SteeredTo,
    way: Way,
) -> Mapping[str, Answered | Unscored]:
    """The steered answers to the questions that can have a gain, by their ids."""
    # Without refusals: their share isn't looked at here, and each would be one more text to score.
    usable = [replace(each, refusals=()) for each in questions if not _lacking(each, group)]
    if not usable:
        return {}
    what = f"{respondent.name}, {NAME} as {group.name} by {way}, {respondent.prompt_name}"
    with context.bar(what) as advance:
        answers = by_letters(respondent, usable, asked.orders, advance, before=before(way, group))
    return {each.id: answer for each, answer in zip(usable, answers, strict=True)}


def _lacking(question: SurveyQuestion, group: SteeredTo) -> str:
    """Why a question can have no gain; empty where it can."""
    if question.scale is None:
        return NO_ORDER
    return LONE_GROUP if len(question.groups[group.dimension]) < 2 else ""


def _gains(
    question: SurveyQuestion,
    group: SteeredTo,
    plain: Answered | Unscored,
    answer: Answered | Unscored | None,
) -> dict[str, Any]:
    """How much better the group, and on their mean the others, are represented than without steering."""
    if answer is None:
        return {"unscored": _lacking(question, group)}
    for each in (plain, answer):
        if isinstance(each, Unscored):
            return {"unscored": each.reason}
    assert isinstance(plain, Answered) and isinstance(answer, Answered)
    was, now = (group_scores(question, each)[group.dimension] for each in (plain, answer))
    gained = {name: now[name].score - was[name].score for name in now}
    own = gained.pop(group.value)
    return {"own": own, "others": float(np.mean([*gained.values()]))}
