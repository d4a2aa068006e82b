"""Answers graded by the task's own judges: a metric for each, `answers.NAME`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.respondent import Respondent
from truing.types import Case, Completion, Metric, Row, Score, Unscored

if TYPE_CHECKING:  # so that the list of evaluations can be read without loading any of this
    from truing.rewards.reward import Answered

GRADED = "answers"
"""The evaluation whose metrics are the judges of the task."""


def graded_answers(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with the grade of each judge for every held-out case's free answer."""
    answers = context.answer(respondent, context.held_out)
    scores = grades(context.graders(), context.held_out, answers)
    return [
        context.row(respondent, GRADED, case, of_case, _detail(answer))
        for case, of_case, answer in zip(context.held_out, scores, answers, strict=True)
    ]


def grades(
    graders: Mapping[str, Callable[[Answered], Score]],
    cases: Sequence[Case],
    answers: Sequence[Completion | Unscored],
) -> list[dict[str, Score]]:
    """Each judge's grade of each answer; where there is no answer, the reason in place of each."""
    from truing.rewards.reward import graded

    columns = {
        name: scores_of(partial(graded, grade), cases, answers) for name, grade in graders.items()
    }
    return [
        {name: column[place] for name, column in columns.items()} for place in range(len(answers))
    ]


def scores_of(
    score: Callable[[Sequence[Answered]], Sequence[Score]],
    cases: Sequence[Case],
    answers: Sequence[Completion | Unscored],
) -> list[Score]:
    """What scores many answers at once, of those that there are; the reason in place of the others."""
    from truing.rewards.reward import Answered

    written = [
        Answered.of(case, answer)
        for case, answer in zip(cases, answers, strict=True)
        if not isinstance(answer, Unscored)
    ]
    scores = iter(score(written))
    return [answer if isinstance(answer, Unscored) else next(scores) for answer in answers]


def _detail(answer: Completion | Unscored) -> dict[str, str | bool | None]:
    if isinstance(answer, Unscored):
        return {"answer": None, "finished": None}
    return {"answer": answer.text.strip(), "finished": answer.finished}


def grade_metric(judge: str, label: str, program: str) -> tuple[Metric, ...]:
    """The metric of one of the task's judges: the share of answers that pass, more is better."""
    who = program if program.startswith("endpoint:") else f"the program {program}"
    note = f"grade of the free answers by {who}"
    return (Metric(GRADED, judge, label, 1, "share", note),)


ANSWERS = Evaluation(
    name=GRADED,
    title="Answers, to held-out cases",
    about="the task's cases, answered freely and graded by its judges (--task)",
    metrics=(),
    of_judge=grade_metric,
    measure=graded_answers,
    needs={"answers": ()},
    usual=False,
)
