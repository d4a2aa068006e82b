"""Several answers of the base to each held-out case, with their reward and grades.

Best-of-n for every n is read from them (statistics/best_of_n.py): how far the reward can be followed by
choosing alone, without a step of training.
"""

from __future__ import annotations

from collections.abc import Sequence

from truing.evaluate.evaluation import EvalContext
from truing.evaluate.graded_answers import GRADED
from truing.evaluate.local import LocalRespondent
from truing.rewards.reward import Answered, Reward, graded, scored
from truing.runs.folder import DRAWS
from truing.types import Row, Score, Unscored

EACH = 16
"""Answers to a case. At n = 16 the chosen answer is 1.8 nats away at most."""


def base_draws(
    context: EvalContext, base: LocalRespondent, reward: Reward, grades: Sequence[str]
) -> list[Row]:
    """A row for each answer at temperature 1; none to a case that leaves no room for one. `grades` names
    metrics of the judges that are learned or of the task's programs (`answers.NAME`)."""
    cases = context.held_out
    drawn = base.draw(cases, context.max_new_tokens, EACH, temperature=1.0)
    answers = [
        Answered.of(case, each)
        for case, completions in zip(cases, drawn, strict=True)
        if not isinstance(completions, Unscored)
        for each in completions
    ]
    columns = {"reward": scored(reward, answers), **_graded(context, answers, grades)}
    return [
        context.row(
            base,
            DRAWS,
            each.case,
            {name: column[place] for name, column in columns.items()},
            {"draw": place % EACH, "answer": each.answer, "finished": each.finished},
        )
        for place, each in enumerate(answers)
    ]


def _graded(
    context: EvalContext, answers: Sequence[Answered], grades: Sequence[str]
) -> dict[str, list[Score]]:
    """Grades by the name of the metric; those that no judge and no program gives are left out."""
    from truing.judges.graded import JUDGED, grade_metrics

    programs = context.graders()
    names = [name.partition(".")[::2] for name in grades]
    columns: dict[str, list[Score]] = {
        name: graded(programs[name], answers)
        for evaluation, name in names
        if evaluation == GRADED and name in programs
    }
    if context.judges and any(
        name in JUDGED and evaluation != GRADED for evaluation, name in names
    ):
        pairs = [(each.case, each.answer) for each in answers]
        rows = [grade_metrics(grade) for grade in context.judges().grade(pairs)]
        columns |= {name: [row[name] for row in rows] for name in JUDGED}
    return columns
