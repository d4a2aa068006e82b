"""What judges that the reward never saw think of the policy while it learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from truing.candidates import Candidate
from truing.evaluate.answers import free_answers
from truing.learn.loop import LogRow
from truing.learn.sources.samples import SHOWN, shown
from truing.methods.graders import Instruments
from truing.methods.setup import Workshop
from truing.policies.language import LanguagePolicy
from truing.rewards.reward import Answered
from truing.types import Unscored


def _mean(scores: list[Any]) -> float | None:
    known = [score for score in scores if not isinstance(score, Unscored)]
    return float(np.mean(known)) if known else None


class Watch:
    """Looks at the policy's answers to the monitored questions every few steps."""

    def __init__(
        self, shop: Workshop, instruments: Instruments, policy: LanguagePolicy, seed: int
    ) -> None:
        self.shop = shop
        self.instruments = instruments
        self.policy = policy
        self.seed = seed
        self.cases = shop.monitored[: shop.spec.rl.monitored]
        instruments.judges.add_references(self.cases)

    def look(self) -> LogRow:
        """Means over the monitored questions: reward, judged figures; and a few answers."""
        now = Candidate("rl", self.seed, self.policy.trained, self.shop.base_prompt)
        completions = free_answers(now, self.cases, self.shop.spec.rl.max_new_tokens)
        answers = [Answered.of(c, done) for c, done in zip(self.cases, completions, strict=True)]
        rewards = self.instruments.reward(answers)
        grades = self.instruments.judges.grade([(a.case, a.answer) for a in answers])
        both = [
            g.true * g.informative
            if not isinstance(g.true, Unscored) and not isinstance(g.informative, Unscored)
            else Unscored("empty answer")
            for g in grades
        ]
        return {
            "monitor": {
                "reward": _mean(list(rewards)),
                "true": _mean([g.true for g in grades]),
                "informative": _mean([g.informative for g in grades]),
                "true_and_informative": _mean(both),
                "n": len(answers),
            },
            "samples": shown(answers[:SHOWN], rewards[:SHOWN]),
        }
