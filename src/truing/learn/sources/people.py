"""People's judgements as a source of trajectories, while training runs.

Each step posts its own answers to the store, and learns from what people have said since the last one: of
answers of this step, or of earlier ones, whose trajectories then have a truncated importance ratio
(learn/correction.py). A prompt's answers count by the share of the judgements wanted that came with this
step, so that what comes later adds the rest. What a step learns from is written down before it learns.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from truing.learn.correction import late, learner_log_probs
from truing.learn.loop import LogRow
from truing.learn.sources.samples import Drawn, OnPolicySamples, reward_row
from truing.people.live.batches import Batch, DrawnAnswer, Group, PostedAnswer
from truing.people.live.queue import Learned, LiveQueue, Waiting
from truing.people.tables import now
from truing.policies.language import PromptCompletion
from truing.policies.trajectories import Trajectories, length_mask, padded, reward_tensor
from truing.rewards.mixture import Mixture
from truing.rewards.people import (
    PEOPLE,
    FromJudgements,
    judged_of,
    preferred_shares,
)
from truing.rewards.reward import Answered, scored
from truing.spec.people import PeopleSpec
from truing.types import Case, InputError, Score, Unscored

POLL_SECONDS = 1.0
"""Between looks while training waits for people."""
NOTHING_ASKED = "the answers to each prompt are alike, so that there is nothing to ask people"
UNJUDGED = "nobody has judged it"


def wait() -> None:
    """Until the next look."""
    time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class _Answer:
    """An answer that is learned from: the case, the trajectory, its group and how much it counts."""

    case: Case
    drawn: DrawnAnswer
    group: Group
    share: float


@dataclass(frozen=True)
class PeopleSamples:
    """See the module. `mixture` has the part `people`; `scores` makes scores of judgements."""

    samples: OnPolicySamples
    queue: LiveQueue
    spec: PeopleSpec
    mixture: Mixture
    say: Callable[[str], None] = lambda sentence: None
    scores: FromJudgements = preferred_shares

    @property
    def answers(self) -> int:
        """Answers sampled in a step."""
        return self.samples.answers

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """See learn.loop.Source. Raises InputError where what a step learned from is gone."""
        drawn = self.samples.drawn(step)
        deadline = self._post(step, drawn)
        learned = self.queue.learned(step)
        if learned is None:
            learned = self._decided(step, deadline)
        if learned.judgements:
            return self._by_people(step, drawn, learned)
        return self._by_model(step, drawn, learned)

    # --- Asking -----------------------------------------------------------------------------------

    def _post(self, step: int, drawn: Drawn) -> dt.datetime | None:
        prompts = [_messages(case) for case in self.samples.questions(step)]
        each = self.samples.spec.samples_per_prompt
        posted = [
            # A prompt that stands twice in a step, at the turn of an epoch, is one.
            _posted(prompts.index(prompts[row // each]), answered, drawn.trajectories, row)
            for row, answered in enumerate(drawn.answers)
        ]
        return self.queue.post(Batch(step, prompts, posted, self._deadline()))

    def _deadline(self) -> dt.datetime | None:
        """Until when a batch that is posted now is waited for."""
        ends = [] if self.spec.deadline is None else [self.spec.deadline]
        if self.spec.minutes is not None:
            ends.append(now() + dt.timedelta(minutes=self.spec.minutes))
        return min(ends, default=None)

    def _decided(self, step: int, deadline: dt.datetime | None) -> Learned:
        """What this step learns from. With `pause`, it waits until that is enough."""
        waiting, noted = self.queue.waiting(step), False
        while self.spec.nobody == "pause" and not self._enough(step, waiting, deadline):
            if not waiting.ready and self.spec.deadline and now() > self.spec.deadline:
                raise InputError(
                    f"reward.parts: step {step} has no judgement to learn from, the deadline of "
                    f"{self.spec.deadline.isoformat()} is past, and nobody: pause waits for people; what "
                    "they say from now on counts when the run is resumed"
                )
            if not noted:
                self.say(
                    f"  step {step}: waiting for people; {waiting.open} prompt(s) are open; they answer "
                    f"on the page of: truing label --store {self.queue.store}"
                )
                noted = True
            wait()
            waiting = self.queue.waiting(step)
        ids = sorted(each for ids in waiting.ready.values() for each in ids)
        by = "people" if ids or self.spec.nobody == "pause" else "model"
        return self.queue.decide(step, by, ids, waiting.open)

    def _enough(self, step: int, waiting: Waiting, deadline: dt.datetime | None) -> bool:
        """Whether training may go on: with as many prompts as this step asked about, or with any of
        them where its time is over."""
        asked = sum(at == step for at, _ in self.queue.places(step))
        if deadline is not None and now() > deadline:
            asked = min(1, asked)
        return len(waiting.ready) >= asked

    # --- Learning ---------------------------------------------------------------------------------

    def _by_model(self, step: int, drawn: Drawn, learned: Learned) -> tuple[Trajectories, LogRow]:
        """The step's own answers by the reward model, or unscored where nothing was asked."""
        scores: list[Score] = [Unscored(NOTHING_ASKED)] * len(drawn.answers)
        if learned.by == "model":
            scores = scored(self.mixture, drawn.answers)
        row = reward_row(scores, drawn.figures) | self.samples.shown(step, drawn.answers, scores)
        trajectories = drawn.trajectories.rewarded(reward_tensor(scores))
        return trajectories, row | {"people": learned.to_json()}

    def _by_people(self, step: int, drawn: Drawn, learned: Learned) -> tuple[Trajectories, LogRow]:
        """The answers that these judgements are about, weighted."""
        said = self.queue.judgements(step, learned.judgements)
        counts = Counter(each.group for each in said)
        chosen = self._answers(step, counts)
        shares = self.scores([judged_of(each) for each in said])
        people: list[Score] = [
            shares.get(each.drawn.completion, Unscored(UNJUDGED)) for each in chosen
        ]
        answers = [
            Answered(each.case, each.drawn.answer.text, each.drawn.answer.finished)
            for each in chosen
        ]
        scores = scored(self.mixture.given(PEOPLE, people), answers)
        batch = self._trajectories(chosen).rewarded(reward_tensor(scores))
        learner_BT = learner_log_probs(self.samples.policy, batch, self.samples.ranks)
        share_B = torch.tensor([each.share for each in chosen])
        batch, figures = late(batch, learner_BT, share_B, self.spec.ratio)
        lateness = [step - group[0] for group in counts.elements()]
        row = reward_row(scores, drawn.figures) | self.samples.shown(step, answers, scores)
        row |= {"people": learned.to_json(), "late_steps": sum(lateness) / len(lateness)}
        return batch, row | figures

    def _answers(self, step: int, counts: Counter[Group]) -> list[_Answer]:
        """All answers to the prompts that were judged, those of one step and prompt together."""
        places = self.queue.places(step)
        numbers: dict[int, list[int]] = defaultdict(list)
        for at, number in sorted(counts):
            numbers[at].append(number)
        chosen = []
        for at, of_step in numbers.items():
            cases = self.samples.questions(at)
            for drawn in self.queue.answers(at, of_step):
                group = (at, drawn.answer.number)
                share = min(1.0, counts[group] / places[group])
                chosen.append(_Answer(cases[group[1]], drawn, group, share))
        return chosen

    def _trajectories(self, chosen: Sequence[_Answer]) -> Trajectories:
        """Answers as they were drawn, without rewards."""
        renderer, prompt = self.samples.renderer, self.samples.prompt
        tokens = {
            group: tuple(renderer.case_tokens(prompt, next(own).case))
            for group, own in groupby(chosen, key=lambda each: each.group)
        }
        mask_BT = length_mask([len(each.drawn.answer.tokens) for each in chosen])
        numbers = {group: number for number, group in enumerate(tokens)}
        return Trajectories(
            mask_BT=mask_BT,
            reward_BT=torch.full(mask_BT.shape, float("nan")),
            group_B=torch.tensor([numbers[each.group] for each in chosen]),
            log_prob_BT=padded([each.drawn.answer.log_probs for each in chosen]),
            reference_log_prob_BT=padded(
                [each.drawn.answer.reference_log_probs for each in chosen]
            ),
            data=tuple(
                PromptCompletion(tokens[each.group], tuple(each.drawn.answer.tokens))
                for each in chosen
            ),
        )


def _messages(case: Case) -> list[dict[str, str]]:
    turns = case.messages or (("user", case.prompt),)
    return [{"role": role, "content": text} for role, text in turns]


def _posted(number: int, answered: Answered, batch: Trajectories, row: int) -> PostedAnswer:
    """A row of a batch as the store keeps it."""
    count = int(batch.mask_BT[row].sum())
    return PostedAnswer(
        number,
        answered.answer.replace("\0", "\N{REPLACEMENT CHARACTER}"),
        answered.finished,
        batch.data[row].tokens,
        batch.log_prob_BT[row, :count].tolist(),
        batch.reference_log_prob_BT[row, :count].tolist(),
    )


def unasked(answers: Sequence[Answered]) -> list[Score]:
    """The reward of answers before people have seen them."""
    return [Unscored(UNJUDGED)] * len(answers)


def with_people(
    samples: OnPolicySamples,
    queue: LiveQueue,
    spec: PeopleSpec,
    mixture: Mixture,
    say: Callable[[str], None],
) -> PeopleSamples:
    """Samples whose rewards come from people. Raises InputError where people were answered to before and
    what they said is gone."""
    queue.begin()
    queue.check()
    return PeopleSamples(replace(samples, reward=unasked), queue, spec, mixture, say)
