"""Answers graded by the task's own judges: a metric for each, `answers.NAME`."""

from __future__ import annotations

from truing.evaluate.evaluation import EvalContext, Evaluation, Respondent
from truing.rewards.reward import Answered
from truing.types import Row, Score


def graded_answers(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with the grade of each judge for every held-out case's free answer."""
    answers = [
        Answered.of(case, completion)
        for case, completion in zip(context.held_out, respondent.answers, strict=True)
    ]
    grades = {name: grade(answers) for name, grade in context.graders.items()}
    rows = []
    for place, answered in enumerate(answers):
        metrics: dict[str, Score] = {name: column[place] for name, column in grades.items()}
        detail = {"answer": answered.answer, "finished": answered.finished}
        rows.append(respondent.row("answers", answered.case, metrics=metrics, detail=detail))
    return rows


ANSWERS = Evaluation(
    name="answers",
    title="Answers, graded by the task’s judges",
    about="the task's cases, answered freely and graded by its judges (--task)",
    metrics=(),  # one for each judge of the task: see truing.tasks.metrics
    measure=graded_answers,
)
