"""What graders think of the policy while it learns: judges that the reward never saw, or programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from truing.candidates import Candidate
from truing.evaluate.answers import free_answers
from truing.evaluate.graded_answers import GRADED
from truing.learn.loop import LogRow
from truing.learn.sources.samples import LOGGED_SAMPLES, sample_rows
from truing.methods.graders import Graders
from truing.methods.setup import Setup
from truing.policies.language import LanguagePolicy
from truing.rewards.reward import Answered
from truing.tasks.texts import JUDGED_EVALUATION
from truing.types import Score, Unscored


def _mean(scores: Sequence[Score]) -> float | None:
    known = [score for score in scores if not isinstance(score, Unscored)]
    return float(np.mean(known)) if known else None


def _unscored(scores: Sequence[Score]) -> int:
    return sum(isinstance(score, Unscored) for score in scores)


class Monitor:
    """Looks at the policy's answers to the validation questions every few steps."""

    def __init__(self, setup: Setup, graders: Graders, policy: LanguagePolicy, seed: int) -> None:
        self.setup = setup
        self.graders = graders
        self.policy = policy
        self.seed = seed
        self.cases = setup.validation[: setup.spec.rl.monitored]
        if graders.judged:
            graders.judges.add_references(self.cases)

    @property
    def chosen_by(self) -> str:
        """The grade by which the step to keep is chosen: what the reward stands for, first of all."""
        task = self.setup.spec.task
        graded = (JUDGED_EVALUATION, GRADED)
        keys = [key.split(".", 1) for key in (*task.gold, *task.headline)]
        return next((name for evaluation, name in keys if evaluation in graded), "reward")

    def look(self) -> LogRow:
        """Means over the validation questions: reward, judged figures; and a few answers."""
        now = Candidate("rl", self.seed, self.policy.trained, self.setup.base_prompt)
        completions = free_answers(now, self.cases, self.setup.spec.rl.max_new_tokens)
        answers = [Answered.of(c, done) for c, done in zip(self.cases, completions, strict=True)]
        rewards = self.graders.reward(answers)
        grades = self.graders.grades(answers)
        scores = {"reward": rewards, **grades}
        unscored = {name: count for name in scores if (count := _unscored(scores[name]))}
        return {
            "monitor": {
                **{name: _mean(of) for name, of in scores.items()},
                "n": len(answers),
                **({"unscored": unscored} if unscored else {}),
            },
            "samples": sample_rows(answers[:LOGGED_SAMPLES], rewards[:LOGGED_SAMPLES]),
        }
