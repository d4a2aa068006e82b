"""A reward model whose base reads with an adapter that is learned together with the head.

It begins as the head on the frozen states, and an adapter that does nothing yet. One fold of prompts isn't
learned from: its judgements scale the scores and place the thresholds, as scores out of fold do for a head
on frozen states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from truing.learn.checkpoint import Checkpoint
from truing.learn.judged_answers import Conversations, Judged, JudgedAnswer, Scorer
from truing.learn.loop import LogRow, Settings, train
from truing.policies.language import LanguagePolicy
from truing.prompts.rendering import Renderer
from truing.rewards.learned.adapter import RewardAdapter
from truing.rewards.learned.sample import Sample, requests
from truing.rewards.learned.training import Learned, LearningSide
from truing.spec.reward_model import RewardModelSpec
from truing.statistics.linear_scores import LinearScores


@dataclass(frozen=True)
class Adapted:
    """What was learned together, the head before it is scaled."""

    adapter: RewardAdapter
    head: LinearScores


class AdapterTraining:
    """The training of an adapter and a head, which begins as that of the `side`; `frozen` says what is read
    of the states, and how strongly the head is held to 0."""

    def __init__(
        self,
        renderer: Renderer,
        sample: Sample,
        side: LearningSide,
        frozen: Learned,
        section: RewardModelSpec,
        seed: int,
    ) -> None:
        assert section.adapter is not None, "the caller has seen that it is asked for"
        self.section, self.spec = section, section.adapter
        base = renderer.model
        language = LanguagePolicy(base, base, self.spec, section.dtype, seed)
        standard, pooling = frozen.heads.standard, frozen.heads.pooling
        has_tie = side.terms.has_tie
        self.scorer = Scorer(language, frozen.layer, pooling, standard, side.start, has_tie)
        self.objective = Judged.of(side.terms, self.scorer, frozen.fit.ridge)
        judged = judged_answers(renderer, sample, side.answers)
        self.source = Conversations(judged, self.spec.prompts_per_step, seed)
        self.steps = self.spec.epochs * self.source.steps_per_epoch

    def __call__(
        self, checkpoint: Checkpoint, after_step: Callable[[int, LogRow], bool]
    ) -> Adapted:
        """Learns, from where the checkpoint is."""
        warmup = round(self.spec.warmup * self.steps)
        settings = Settings(
            self.steps, self.spec.learning_rate, self.spec.max_grad_norm, warmup=warmup
        )
        train(self.scorer, self.source, self.objective, settings, checkpoint, after_step)
        values = {name: each.detach().cpu() for name, each in self.scorer.adapter.items()}
        return Adapted(RewardAdapter(self.spec.rank, self.spec.alpha, values), self.scorer.head)


def judged_answers(
    renderer: Renderer, sample: Sample, places: Sequence[int]
) -> list[list[JudgedAnswer]]:
    """The answers at some places of a sample as tokens, by conversation."""
    answers = [(place, sample.answers[place]) for place in places]
    groups = [list(group) for _, group in groupby(answers, key=lambda each: each[1][0])]
    wanted = requests(renderer, [answer for _, answer in answers])
    return [
        [
            JudgedAnswer(tuple(request.prompt), tuple(tokens), place)
            for place, tokens in zip(map(itemgetter(0), group), request.continuations, strict=True)
        ]
        for group, request in zip(groups, wanted, strict=True)
    ]
