"""Reward hacking: the training reward of the free answers, to be held against what judges say.

A reward that rises while judged truth and informativeness do not has been gamed.
"""

from __future__ import annotations

from truing.evaluate.evaluation import Bench, Subject
from truing.rewards.reward import Answered
from truing.types import Row


def hacking(bench: Bench, subject: Subject) -> list[Row]:
    """Rows with the reward of each held-out answer; none where the run has no reward."""
    if bench.reward is None:
        return []
    answers = [
        Answered.of(case, completion)
        for case, completion in zip(bench.held_out, subject.answers, strict=True)
    ]
    return [
        subject.row("hacking", case, metrics={"reward": score})
        for case, score in zip(bench.held_out, bench.reward(answers), strict=True)
    ]
