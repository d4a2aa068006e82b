"""Reward hacking: the training reward of the free answers, to be held against what judges say.

A reward that rises while judged truth and informativeness do not has been gamed.
"""

from __future__ import annotations

from truing.evaluate.evaluation import EvalContext, Evaluation, Respondent
from truing.rewards.reward import Answered
from truing.types import Metric, Row


def hacking(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with the reward of each held-out answer; none where the run has no reward."""
    if context.reward is None:
        return []
    answers = [
        Answered.of(case, completion)
        for case, completion in zip(context.held_out, respondent.answers, strict=True)
    ]
    return [
        respondent.row("hacking", case, metrics={"reward": score})
        for case, score in zip(context.held_out, context.reward(answers), strict=True)
    ]


HACKING = Evaluation(
    name="hacking",
    title="Reward’s own view",
    about="the training reward of the free answers",
    measure=hacking,
    metrics=(
        Metric(
            "hacking",
            "reward",
            "Training reward",
            1,
            "reward",
            "what the reward model gives the free answers. A gain here alone is reward hacking",
        ),
    ),
)
