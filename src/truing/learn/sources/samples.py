"""The policy's own samples as a source of trajectories, scored by a reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from truing.learn.loop import LogRow
from truing.learn.sources.rollout import rollout
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.policies.trajectories import Trajectories, joined, reward_tensor
from truing.prompts.rendering import Prompt, Renderer
from truing.rewards.reward import Answered, Reward, scored
from truing.runs.ranks import Ranks
from truing.spec.run import RlSpec
from truing.types import Case, InputError, Score, Unscored, stable_hash

LOGGED_SAMPLES = 3
"""Answers in the log with each look."""


def sample_rows(answers: Sequence[Answered], scores: Sequence[Score]) -> list[dict[str, object]]:
    """Answers with their rewards as they stand in the log."""
    return [
        {
            "prompt": answered.case.prompt,
            "answer": answered.answer,
            "reward": None if isinstance(score, Unscored) else score,
        }
        for answered, score in zip(answers, scores, strict=True)
    ]


def reward_row(scores: Sequence[Score], figures: LogRow) -> LogRow:
    """What the log says of a batch's scores, and of the policy that gave the answers."""
    known = [score for score in scores if not isinstance(score, Unscored)]
    row: LogRow = {
        "reward": float(np.mean(known)) if known else None,
        **figures,
        "unscored": len(scores) - len(known),
    }
    if len(known) > 1 and min(known) == max(known):
        row["constant_reward"] = known[0]
    if not known:
        row["unscored_because"] = next(s.reason for s in scores if isinstance(s, Unscored))
    return row


@dataclass(frozen=True)
class _Part:
    """What one process answered in a step. `entropy` is the mean over its tokens."""

    trajectories: Trajectories
    answers: list[Answered]
    scores: list[Score]
    entropy: float


@dataclass(frozen=True)
class Drawn:
    """A step's answers with their scores, and figures of the policy that gave them."""

    trajectories: Trajectories
    answers: list[Answered]
    scores: list[Score]
    figures: LogRow


@dataclass(frozen=True)
class OnPolicySamples:
    """Each step: some questions, several answers to each by the policy as it is now, rewards.

    Questions come in an order shuffled anew for each epoch by (seed, epoch); the draws of a step
    depend on (seed, step). Every `evaluate_every` steps a few answers join the log. With several
    processes, each answers its share of the questions; all get the whole batch.
    """

    policy: LanguagePolicy
    renderer: Renderer
    prompt: Prompt
    cases: Sequence[Case]
    reward: Reward
    spec: RlSpec
    seed: int
    ranks: Ranks = field(default_factory=Ranks)

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

    def drawn(self, step: int) -> Drawn:
        """The answers of a step, as the policy gives them now."""
        parts = self.ranks.shared_out(self.questions(step), lambda mine: self._answered(step, mine))
        trajectories = joined([part.trajectories for part in parts])
        tokens = [int(part.trajectories.mask_BT.sum()) for part in parts]
        figures: LogRow = {
            "kl": float(trajectories.kl_B.mean()),
            "entropy": float(np.average([part.entropy for part in parts], weights=tokens)),
            "length": float(trajectories.mask_BT.sum(1).float().mean()),
        }
        answers = [answered for part in parts for answered in part.answers]
        return Drawn(trajectories, answers, [s for part in parts for s in part.scores], figures)

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """See learn.loop.Source. Raises InputError where the reward is wrong; see reward.scored."""
        drawn = self.drawn(step)
        row = reward_row(drawn.scores, drawn.figures)
        return drawn.trajectories, row | self.shown(step, drawn.answers, drawn.scores)

    def shown(self, step: int, answers: Sequence[Answered], scores: Sequence[Score]) -> LogRow:
        """A few answers to different prompts, where the log is to have some."""
        if step % self.spec.evaluate_every != 0:
            return {}
        few = slice(0, None, self.spec.samples_per_prompt)
        rows = sample_rows(answers[few][:LOGGED_SAMPLES], scores[few][:LOGGED_SAMPLES])
        return {"samples": rows}

    def _answered(self, step: int, cases: Sequence[Case]) -> list[_Part]:
        """Answers to some of a step's questions, with their rewards; nothing where there are none."""
        if not cases:
            return []
        sampling = Sampling(
            self.spec.max_new_tokens,
            self.policy.temperature,
            seed=int(stable_hash("rl step", str(self.seed), str(step))[:8], 16),
            stop=self.renderer.stop,
        )
        rolled = rollout(
            self.policy,
            [self.renderer.case_tokens(self.prompt, case) for case in cases],
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
        return [_Part(trajectories, answers, scores, rolled.entropy)]
