"""The rows of `opinions`: each question's figures in every reading, beside their anchors."""

from __future__ import annotations

from typing import Any

from truing.data.survey import SurveyQuestion
from truing.data.surveys.readings import FIRST, Reading, metric_of_reading
from truing.data.surveys.readings import OPINIONS as NAME
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.opinion_prompts import OpinionsAsked
from truing.evaluate.opinion_readings import Answered, by_letters, by_text, by_writing
from truing.evaluate.opinion_scores import (
    anchors,
    figures,
    group_scores,
    people_pooled,
    permuted,
    position,
    representing,
)
from truing.evaluate.opinion_steering import steered
from truing.evaluate.opinions import OF_ANSWER, OPINIONS, PER_READING, case_of
from truing.evaluate.respondent import Respondent
from truing.types import Row, Score, Unscored


def opinion_rows(context: EvalContext, respondent: Respondent, asked: OpinionsAsked) -> list[Row]:
    """A row for each question, with the figures of every reading that is asked for."""
    questions = asked.survey.questions
    read = {each: _read(each, context, respondent, asked) for each in asked.readings}
    others = {each: permuted(questions, answers) for each, answers in read.items()}
    moved = steered(context, respondent, asked, read.get("letters"))
    return [
        _row(
            context,
            respondent,
            question,
            {reading: read[reading][place] for reading in asked.readings},
            {reading: others[reading][place] for reading in asked.readings},
            moved.get(question.id, {}),
        )
        for place, question in enumerate(questions)
    ]


def _read(
    reading: Reading, context: EvalContext, respondent: Respondent, asked: OpinionsAsked
) -> list[Answered | Unscored]:
    questions = asked.survey.questions
    if reading == "written":
        return by_writing(context, respondent, questions)
    what = f"{respondent.name}, {NAME} by {reading}, {respondent.prompt_name}"
    with context.bar(what) as advance:
        if reading == "letters":
            return by_letters(respondent, questions, asked.orders, advance)
        return by_text(respondent, questions, advance)


def _row(
    context: EvalContext,
    respondent: Respondent,
    question: SurveyQuestion,
    read: dict[Reading, Answered | Unscored],
    others: dict[Reading, dict[str, Score]],
    steered_to: dict[str, Any],
) -> Row:
    metrics: dict[str, Score] = anchors(question)
    for reading, answered in read.items():
        of_reading = _figures(question, answered, metrics["uniform"]) | others[reading]
        if reading != FIRST:
            of_reading = {name: of_reading[name] for name in PER_READING}
        metrics |= {metric_of_reading(reading, name): each for name, each in of_reading.items()}
    if "letters" in read:
        metrics |= _of_letters(question, read["letters"])
    if "written" in read:
        metrics["written_read"] = float(isinstance(read["written"], Answered))
    ordered = {each.name: metrics[each.name] for each in OPINIONS.metrics if each.name in metrics}
    detail = _detail(context, question, read) | ({"steered": steered_to} if steered_to else {})
    return context.row(respondent, NAME, case_of(question), ordered, detail)


def _figures(
    question: SurveyQuestion, answered: Answered | Unscored, uniform: Score
) -> dict[str, Score]:
    if isinstance(answered, Unscored):
        return dict.fromkeys((*OF_ANSWER, "above_uniform"), answered)
    scores = figures(question, answered)
    ours = scores["representativeness"]
    above = ours if isinstance(ours, Unscored) else uniform
    if not isinstance(ours, Unscored) and not isinstance(uniform, Unscored):
        above = ours - uniform
    return {**scores, "above_uniform": above}


def _of_letters(question: SurveyQuestion, answered: Answered | Unscored) -> dict[str, Score]:
    """What the printed order would have shown, and how far letters decide."""
    names = ("as_printed", "position_as_printed", "mass", "first_letter")
    if isinstance(answered, Unscored):
        return dict.fromkeys(names, answered)
    assert answered.printed is not None and answered.mass is not None
    assert answered.first is not None
    refusals = {} if answered.refusals is None else {"refusals": answered.refusals}
    return {
        "as_printed": representing(question, answered.printed),
        "position_as_printed": position(question, answered.printed),
        "mass": answered.mass,
        "first_letter": answered.first,
        **refusals,
    }


def _detail(
    context: EvalContext, question: SurveyQuestion, read: dict[Reading, Answered | Unscored]
) -> dict[str, Any]:
    letters = read.get("letters")
    first = next((each for each in read.values() if isinstance(each, Answered)), None)
    groups = group_scores(question, first) if first else {}
    return {
        **context.prompt_of(case_of(question)),
        "options": list(question.options),
        "scale": None if question.scale is None else list(question.scale),
        "shares": {
            reading: list(each.shares)
            for reading, each in read.items()
            if isinstance(each, Answered)
        },
        "printed": list(letters.printed or ()) if isinstance(letters, Answered) else None,
        "people": people_pooled(question.groups),
        "groups": {
            dimension: {name: [each.score, each.uniform, each.n] for name, each in values.items()}
            for dimension, values in groups.items()
        },
    }
