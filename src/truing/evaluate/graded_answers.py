"""Answers graded by the task's own judges: a metric for each, `answers.NAME`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    graders = context.graders()
    answers = context.answer(respondent, context.held_out)
    return [
        context.row(respondent, GRADED, case, grades(graders, case, answer), _detail(answer))
        for case, answer in zip(context.held_out, answers, strict=True)
    ]


def grades(
    graders: Mapping[str, Callable[[Answered], Score]], case: Case, answer: Completion | Unscored
) -> dict[str, Score]:
    """Each judge's grade of an answer; where there is no answer, the reason in place of each."""
    if isinstance(answer, Unscored):
        return dict.fromkeys(graders, answer)
    from truing.rewards.reward import Answered

    answered = Answered.of(case, answer)
    return {name: grade(answered) for name, grade in graders.items()}


def _detail(answer: Completion | Unscored) -> dict[str, str | bool | None]:
    if isinstance(answer, Unscored):
        return {"answer": None, "finished": None}
    return {"answer": answer.text.strip(), "finished": answer.finished}


def grade_metric(judge: str, label: str, program: str) -> tuple[Metric, ...]:
    """The metric of one of the task's judges: the share of answers that pass, more is better."""
    note = f"grade of the free answers by the program {program}"
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
