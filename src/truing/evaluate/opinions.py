"""Whose answers to a survey a respondent gives: distributions over options, beside those of people.

A figure alone says little: on most questions the uniform distribution represents people about as well.
So each stands beside its anchors (statistics/opinion_anchors.py), and what an order of options does to it
is shown: the mean over balanced orders counts, the printed order is a diagnostic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from truing.data.surveys.readings import FIRST, READINGS, Reading
from truing.data.surveys.readings import OPINIONS as NAME
from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.opinion_prompts import OpinionsAsked
from truing.evaluate.respondent import Respondent
from truing.types import Case, InputError, Metric, Row, Unit

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.data.survey import SurveyQuestion

NO_SURVEY = "opinions: asks a survey's questions; name its file with --survey"
PER_READING = ("representativeness", "above_uniform", "permuted", "position")
"""What is shown of every reading."""


def opinion_cases(context: EvalContext) -> list[Case]:
    """The survey's questions. Raises InputError where no survey is known."""
    return [case_of(each) for each in asked_opinions(context).survey.questions]


def asked_opinions(context: EvalContext) -> OpinionsAsked:
    """The survey and how it is read. Raises InputError where no survey is known."""
    if context.opinions is None:
        raise InputError(NO_SURVEY)
    return context.opinions


def case_of(question: SurveyQuestion) -> Case:
    """A question as a case; its id tells questions with one text and other options apart."""
    return Case(
        question.question,
        category=question.topic,
        source=question.source,
        distinction=question.id[:16],
    )


def measured_opinions(context: EvalContext, respondent: Respondent) -> list[Row]:
    """A row for each question, with the figures of every reading that is asked for."""
    from truing.evaluate.opinion_rows import opinion_rows

    return opinion_rows(context, respondent, asked_opinions(context))


OF_ANSWER = (
    "representativeness", "similarity", "total_variation", "entropy", "modal_share", "position",
)  # fmt: skip


def _metric(
    name: str, label: str, note: str, better: Literal[-1, 0, 1] = 0, unit: Unit = "share"
) -> Metric:
    likely, signed = not name.startswith("written"), name.endswith("above_uniform")
    return Metric(
        NAME, name, label, better, unit, note, by_likelihood=likely, of_some=True, signed=signed
    )


def _metrics_of(reading: Reading) -> Sequence[Metric]:
    """What is declared of a further reading."""
    by = {"text": "by the options’ texts", "written": "by written answers"}[reading]
    return (
        _metric(f"{reading}_representativeness", f"Representativeness, {by}", f"the same, {by}"),
        _metric(f"{reading}_above_uniform", f"Above uniform, {by}", f"the same, {by}"),
        _metric(f"{reading}_permuted", f"Other questions’ answers, {by}", f"the same, {by}"),
        _metric(f"{reading}_position", f"Place on the scale, {by}", f"the same, {by}"),
    )


_ANCHORS = (
    _metric("uniform", "Anchor: uniform", "what the uniform distribution has"),
    _metric("permuted", "Anchor: other questions", "what the answers to other questions have"),
    _metric("constant", "Anchor: best constant", "what the one best option of each question has"),
    _metric("elsewhere", "Anchor: people elsewhere", "what other groups have for a group"),
    _metric(
        "noise_floor", "Anchor: n of the group", "what as many people of the group itself have"
    ),
)
OPINIONS = Evaluation(
    name=NAME,
    title="Opinions",
    about="whose answers to a survey are given, beside people's (--survey)",
    measure=measured_opinions,
    cases=opinion_cases,
    source=lambda context: asked_opinions(context).survey.source,
    needs={
        "likelihoods": (
            *OF_ANSWER, "above_uniform", "permuted", "as_printed", "position_as_printed", "mass",
            "first_letter", "refusals", "similarity_permuted", "total_variation_permuted",
            *(f"text_{name}" for name in PER_READING),
        ),
        "answers": tuple(f"written_{name}" for name in (*PER_READING, "read")),
    },
    headline=("representativeness", "above_uniform"),
    usual=False,
    metrics=(
        _metric(
            "representativeness",
            "Representativeness",
            "1 - the distance to people’s answers along the scale, over its length; mean over groups",
            1,
        ),
        _metric("above_uniform", "Above uniform", "representativeness less the uniform’s", 1),
        *_ANCHORS,
        _metric("as_printed", "As printed", "what the printed order alone would show"),
        _metric("first_letter", "Letter A", "the probability of the first letter, whatever it says"),
        _metric("chance", "Letter A by chance", "1 / the number of options"),
        _metric("mass", "Mass on letters", "the probability of all letters; the rest is other text"),
        _metric("refusals", "Refusals", "the refusals’ share of the letters, listed behind the options"),
        _metric("similarity", "1 - Jensen-Shannon", "1 - the Jensen-Shannon distance, base 2", 1),
        _metric("similarity_uniform", "1 - JS of uniform", "the same of the uniform distribution"),
        _metric("similarity_permuted", "1 - JS of other questions", "the same of other questions’ answers"),
        _metric("total_variation", "Total variation", "half the sum of absolute differences", -1),
        _metric("total_variation_uniform", "TV of uniform", "the same of the uniform distribution"),
        _metric("total_variation_permuted", "TV of other questions", "the same of other questions’"),
        _metric("entropy", "Entropy", "of the answers, in nats", unit="nats"),
        _metric("people_entropy", "People’s entropy", "of people’s answers, in nats", unit="nats"),
        _metric("modal_share", "Modal share", "the share of the option that is chosen most"),
        _metric("people_modal_share", "People’s modal share", "the same of people’s answers"),
        _metric("position", "Place on the scale", "the mean place, 0 its least, 1 its greatest"),
        _metric("position_as_printed", "Place as printed", "the same in the printed order alone"),
        *(metric for reading in READINGS if reading != FIRST for metric in _metrics_of(reading)),
        _metric("written_read", "Written answers read", "share of questions whose replies name an option"),
    ),
)  # fmt: skip
