"""The policy's own samples as a source of trajectories, scored by a reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from truing.learn.loop import LogRow
from truing.learn.sources.ahead import Ahead
from truing.learn.sources.rollout import of_samples
from truing.models.sampling import Sampling
from truing.policies.language import LanguagePolicy
from truing.policies.sampler import Group, LocalSampler, Sampled, Sampler, entropy_of
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


_Asked = tuple[Case, Group | None]
"""A question, and its answers where a sampler apart has given them."""


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

    With a `sampler` apart, answers are drawn by it, at the first process's word. They are of the policy of
    at most `spec.staleness` updates ago: older ones are left out and counted.
    """

    policy: LanguagePolicy
    renderer: Renderer
    prompt: Prompt
    cases: Sequence[Case]
    reward: Reward
    spec: RlSpec
    seed: int
    ranks: Ranks = field(default_factory=Ranks)
    sampler: Sampler | None = None

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
        drawn: list[_Asked] = [(case, None) for case in self.questions(step)]
        entropy, apart = 0.0, LogRow()
        if self.sampler is not None:
            drawn, entropy, apart = self._from_apart(step)
        parts = self.ranks.shared_out(drawn, lambda mine: self._answered(step, mine, entropy))
        trajectories = joined([part.trajectories for part in parts])
        tokens = [int(part.trajectories.mask_BT.sum()) for part in parts]
        figures: LogRow = {
            "kl": float(trajectories.kl_B.mean()),
            "entropy": float(np.average([part.entropy for part in parts], weights=tokens)),
            "length": float(trajectories.mask_BT.sum(1).float().mean()),
            **apart,
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

    def close(self) -> None:
        """Leaves what a sampler apart is still asked."""
        if self.sampler is not None:
            self._ahead.close()

    @cached_property
    def _ahead(self) -> Ahead[Sampled]:
        """What the sampler apart draws, step after step."""
        sampler = self.sampler
        assert sampler is not None

        def draw(step: int, version: int) -> Sampled:
            cases, samples = self.questions(step), self.spec.samples_per_prompt
            prompts, sampling = self._prompts_of(cases), self._sampling(step)
            return sampler.sample(version, prompts, samples, sampling)

        return Ahead(draw, sampler.publish, self.spec.staleness, self.spec.steps)

    def _from_apart(self, step: int) -> tuple[list[_Asked], float, LogRow]:
        """A step's questions with the sampler's answers that are young enough, their entropy, and what to
        log of ages.

        Raises InputError where none is.
        """
        sampled = self.ranks.from_first(lambda: self._ahead.of(step))
        groups = sampled.groups
        oldest = step - 1 - self.spec.staleness
        asked = zip(self.questions(step), groups, strict=True)
        young: list[_Asked] = [(case, group) for case, group in asked if group.version >= oldest]
        if not young:
            raise InputError(
                f"rl.staleness: all answers of step {step} are of policies more than "
                f"{self.spec.staleness} update(s) ago; allow more, or see why the sampler lags"
            )
        dropped = (len(groups) - len(young)) * self.spec.samples_per_prompt
        ages = [step - 1 - group.version for group in groups if group.version >= oldest]
        left = [group for _, group in young if group is not None]
        entropy = entropy_of(left) if dropped else sampled.entropy
        return young, entropy, {"staleness": float(np.mean(ages)), "dropped": dropped}

    def _sampling(self, step: int) -> Sampling:
        """How a step's answers are drawn."""
        return Sampling(
            self.spec.max_new_tokens,
            self.policy.temperature,
            seed=int(stable_hash("rl step", str(self.seed), str(step))[:8], 16),
            stop=self.renderer.stop,
        )

    def _prompts_of(self, cases: Sequence[Case]) -> list[Sequence[int]]:
        return [self.renderer.case_tokens(self.prompt, case) for case in cases]

    def _answered(self, step: int, asked: Sequence[_Asked], entropy: float) -> list[_Part]:
        """Answers to some of a step's questions, with their rewards; nothing where there are none.
        `entropy` is that of all answers that came from apart."""
        if not asked:
            return []
        cases = [case for case, _ in asked]
        prompts, sampling = self._prompts_of(cases), self._sampling(step)
        groups = [group for _, group in asked if group is not None]
        if groups:
            sampled = Sampled(groups, entropy)
        else:
            sampled = LocalSampler(self.policy).sample(
                step - 1, prompts, self.spec.samples_per_prompt, sampling
            )
        rolled = of_samples(self.policy, prompts, sampled, sampling.temperature)
        answers = [
            Answered.of(case, completion)
            for case, completions in zip(cases, rolled.completions, strict=True)
            for completion in completions
        ]
        scores = scored(self.reward, answers)
        trajectories = rolled.trajectories.rewarded(reward_tensor(scores))
        return [_Part(trajectories, answers, scores, rolled.entropy)]
