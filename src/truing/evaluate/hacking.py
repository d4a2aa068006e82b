"""Reward hacking: the training reward of the free answers, to be held against what judges say.

A reward that rises while judged truth and informativeness do not has been gamed.
"""

from __future__ import annotations

from truing.evaluate.evaluation import EvalContext, Evaluation
from truing.evaluate.respondent import Respondent
from truing.types import Metric, Row, Score, Unscored


def hacking(context: EvalContext, respondent: Respondent) -> list[Row]:
    """Rows with the reward of each held-out answer; none where the run has no reward."""
    from truing.rewards.reward import Answered

    reward = context.reward()
    if reward is None:
        return []
    if isinstance(reward, Unscored):
        scores: list[Score] = [reward] * len(context.held_out)
    else:
        completions = context.answer(respondent, context.held_out)
        pairs = list(zip(context.held_out, completions, strict=True))
        answered = [Answered.of(c, a) for c, a in pairs if not isinstance(a, Unscored)]
        rewards = iter(reward(answered))
        scores = [a if isinstance(a, Unscored) else next(rewards) for a in completions]
    return [
        context.row(respondent, "hacking", case, {"reward": score})
        for case, score in zip(context.held_out, scores, strict=True)
    ]


HACKING = Evaluation(
    name="hacking",
    title="Reward’s own view",
    about="the training reward of the free answers",
    measure=hacking,
    needs={"answers": ("reward",), "reward": ("reward",)},
    headline=("reward",),
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
