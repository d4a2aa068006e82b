"""The policy's own samples as a source of trajectories, scored by a reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from truing.learn.loop import LogRow
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.reward import Answered, Reward, scored
from truing.rollout import rollout
from truing.spec import RlSpec
from truing.trajectories import Trajectories, reward_tensor
from truing.types import Case, InputError, Score, Unscored, stable_hash

SHOWN = 3  # answers in the log with each look


def shown(answers: Sequence[Answered], scores: Sequence[Score]) -> list[dict[str, object]]:
    """Answers with their rewards as they stand in the log."""
    return [
        {
            "prompt": answered.case.prompt,
            "answer": answered.answer,
            "reward": None if isinstance(score, Unscored) else score,
        }
        for answered, score in zip(answers, scores, strict=True)
    ]


@dataclass(frozen=True)
class Samples:
    """Each step: some questions, several answers to each by the policy as it is now, rewards.

    Questions come in an order shuffled anew for each epoch by (seed, epoch); the draws of a step
    depend on (seed, step). Every `evaluate_every` steps a few answers join the log.
    """

    policy: LanguagePolicy
    renderer: Renderer
    prompt: Prompt
    cases: Sequence[Case]
    reward: Reward
    spec: RlSpec
    seed: int

    def __post_init__(self) -> None:
        if not self.cases:
            raise InputError("rl: there are no questions to train on")
        # A reward that fails or gives the wrong shape is found before anything is sampled.
        scored(self.reward, [Answered(case, "An answer.") for case in self.cases[:2]])

    @property
    def prompts(self) -> int:
        """Prompts in a step. Fewer than asked for where there are no more: the same one twice in a
        step would get the same answers."""
        return min(self.spec.prompts_per_step, len(self.cases))

    @property
    def answers(self) -> int:
        """Answers sampled in a step."""
        return self.prompts * self.spec.samples_per_prompt

    def questions(self, step: int) -> list[Case]:
        """The questions of a step, counted from 1."""
        each, count = self.prompts, len(self.cases)
        chosen = []
        for number in range((step - 1) * each, step * each):
            epoch, place = divmod(number, count)
            order = np.random.default_rng((self.seed, epoch)).permutation(count)
            chosen.append(self.cases[int(order[place])])
        return chosen

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """See learn.loop.Source."""
        cases = self.questions(step)
        sampling = Sampling(
            self.spec.max_new_tokens,
            self.policy.temperature,
            seed=int(stable_hash("rl step", str(self.seed), str(step))[:8], 16),
            stop=self.renderer.stop,
        )
        rolled = rollout(
            self.policy,
            [self.renderer.tokens(self.prompt, case.prompt) for case in cases],
            self.spec.samples_per_prompt,
            sampling,
        )
        answers = [
            Answered.of(case, completion)
            for case, completions in zip(cases, rolled.completions, strict=True)
            for completion in completions
        ]
        scores = scored(self.reward, answers)
        trajectories = rolled.trajectories.rewarded(reward_tensor(scores))
        known = [score for score in scores if not isinstance(score, Unscored)]
        row: LogRow = {
            "reward": float(np.mean(known)) if known else None,
            "kl": float(trajectories.kl_B.mean()),
            "entropy": rolled.entropy,
            "length": float(trajectories.mask_BT.sum(1).float().mean()),
            "unscored": len(scores) - len(known),
        }
        if step % self.spec.evaluate_every == 0:
            few = slice(0, self.answers, self.spec.samples_per_prompt)  # of different prompts
            row["samples"] = shown(answers[few][:SHOWN], scores[few][:SHOWN])
        return trajectories, row
