"""Pairs of answers as a source of trajectories: some prompts in each step, with all their pairs.

Every answer of a prompt stands in a batch once, in however many pairs. Its log-probabilities under the
reference are those of the policy as it was before its first step: the same weights without what is
learned, by the same passes in the same precision. They are computed once for the whole training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from truing.learn.own_passes import log_probs_now
from truing.learn.update import LogRow, Policy
from truing.policies.language import PromptCompletion
from truing.policies.trajectories import Trajectories, joined, length_mask
from truing.runs.ranks import Ranks
from truing.types import InputError

Tokens = tuple[int, ...]
CONTRADICTORY = "the same two answers were also preferred the other way round"
EMPTY = "an empty answer"
EQUAL = "the two answers are the same"


@dataclass(frozen=True)
class Comparisons:
    """A prompt, its distinct answers, and pairs of their places: the better one first."""

    prompt: Tokens
    answers: tuple[Tokens, ...]
    pairs: tuple[tuple[int, int], ...]

    @property
    def actions(self) -> list[PromptCompletion]:
        """The answers as trajectories."""
        return [PromptCompletion(self.prompt, answer) for answer in self.answers]


def compared(
    rows: Iterable[tuple[Tokens, Tokens, Tokens]],
) -> tuple[list[Comparisons], dict[str, int]]:
    """(prompt, better, worse) by prompt, in the order in which prompts are first seen.

    Pairs that can teach nothing are left out, and counted by the reason: where an answer is empty, both
    are equal, or the same two stand the other way round elsewhere. A pair that stands twice counts twice.
    """
    by_prompt: dict[Tokens, list[tuple[Tokens, Tokens]]] = {}
    for prompt, better, worse in rows:
        by_prompt.setdefault(prompt, []).append((better, worse))
    left_out: Counter[str] = Counter()
    found = []
    for prompt, pairs in by_prompt.items():
        reasons = [_reason(pair, pairs) for pair in pairs]
        left_out.update(reason for reason in reasons if reason)
        right = [pair for pair, reason in zip(pairs, reasons, strict=True) if not reason]
        answers = tuple(dict.fromkeys(answer for pair in right for answer in pair))
        place = {answer: number for number, answer in enumerate(answers)}
        if right:
            placed = tuple((place[better], place[worse]) for better, worse in right)
            found.append(Comparisons(prompt, answers, placed))
    return found, dict(left_out)


def _reason(pair: tuple[Tokens, Tokens], pairs: Sequence[tuple[Tokens, Tokens]]) -> str:
    """Why a pair among those of its prompt teaches nothing; empty where it does."""
    better, worse = pair
    if not better or not worse:
        return EMPTY
    if better == worse:
        return EQUAL
    return CONTRADICTORY if (worse, better) in pairs else ""


def at_most(comparisons: Sequence[Comparisons], most: int, seed: int) -> list[Comparisons]:
    """At most so many pairs of each prompt, drawn by the seed, with the answers that stand in them."""
    drawn = []
    for number, each in enumerate(comparisons):
        order = np.random.default_rng((seed, number)).permutation(len(each.pairs))[:most]
        pairs = [each.pairs[place] for place in sorted(order.tolist())]
        rows = [(each.prompt, each.answers[a], each.answers[b]) for a, b in pairs]
        drawn += compared(rows)[0]
    return drawn


class Pairs:
    """Each step's batch: `prompts_per_step` prompts with all their pairs.

    Prompts are shuffled anew for each epoch by (seed, epoch); the last batch of an epoch may have fewer.
    With `mismatched`, each prompt also comes with the answers to the one before it in the data, which
    stand in no pair and carry their log-probabilities as they are in this step.
    """

    def __init__(
        self,
        policy: Policy,
        comparisons: Sequence[Comparisons],
        prompts_per_step: int,
        seed: int,
        *,
        mismatched: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        """`policy` is as it is before its first step."""
        if not comparisons:
            raise InputError("preference: there are no pairs to learn from")
        if mismatched and len(comparisons) < 2:
            raise InputError("preference: one prompt has no answers to other prompts than its own")
        self.policy, self.comparisons = policy, comparisons
        self.prompts_per_step, self.seed = prompts_per_step, seed
        self.mismatched = mismatched
        self.ranks = ranks or Ranks()
        self._reference: dict[PromptCompletion, Tensor] = {}

    @property
    def steps_per_epoch(self) -> int:
        """Updates that an epoch takes."""
        return -(-len(self.comparisons) // self.prompts_per_step)

    def _numbers(self, step: int) -> tuple[int, list[int]]:
        """The epoch of a step, from 0, and which prompts it has."""
        epoch, number = divmod(step - 1, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.comparisons))
        size = self.prompts_per_step
        return epoch, order[number * size : (number + 1) * size].tolist()

    def remember_reference(self, steps: int) -> Iterator[int]:
        """Computes what the reference says of all that so many steps need; yields each batch's number.

        To be gone through before the policy learns. The batches are those of the first epoch, so that the
        passes are the learner's own.
        """
        for step in range(1, min(steps, self.steps_per_epoch) + 1):
            numbers = self._numbers(step)[1]
            self._remember(self._paired(numbers))
            if self.mismatched:
                self._remember(self._others(numbers))
            yield step

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        """See learn.loop.Source."""
        epoch, numbers = self._numbers(step)
        paired = self._referred(self._paired(numbers))
        assert paired.pair_N2 is not None
        length_N2 = paired.mask_BT.sum(1).float()[paired.pair_N2]
        chosen, rejected = length_N2.mean(0).tolist()
        row: LogRow = {"epoch": epoch + 1, "pairs": len(length_N2)}
        row |= {"chosen_length": chosen, "rejected_length": rejected}
        if not self.mismatched:
            return paired, row
        others = self._referred(self._others(numbers))
        others = replace(others, log_prob_BT=_padded(self._log_probs(others)))
        return joined([paired, others]), row

    def _paired(self, numbers: Sequence[int]) -> Trajectories:
        return laid_out([self.comparisons[number] for number in numbers])

    def _others(self, numbers: Sequence[int]) -> Trajectories:
        """Prompts with the answers to the prompt before each in the data; to the first, the last's."""
        every = self.comparisons
        return laid_out(
            [replace(every[n], answers=every[n - 1].answers, pairs=()) for n in numbers]
        )

    def _remember(self, batch: Trajectories) -> None:
        self._reference.update(zip(batch.data, self._log_probs(batch), strict=True))

    def _referred(self, batch: Trajectories) -> Trajectories:
        rows = [self._reference[action] for action in batch.data]
        return replace(batch, reference_log_prob_BT=_padded(rows))

    def _log_probs(self, batch: Trajectories) -> list[Tensor]:
        """Log-probabilities of each trajectory's tokens as the policy is now; each process has a share."""

        def work(units: Sequence[range]) -> list[Tensor]:
            rows = [row for unit in units for row in unit]
            return log_probs_now(self.policy, batch.select(rows)) if rows else []

        return self.ranks.shared_out(batch.units, work)


def laid_out(comparisons: Sequence[Comparisons]) -> Trajectories:
    """Prompts with their answers and pairs as trajectories whose probabilities nobody knows yet."""
    actions = [action for each in comparisons for action in each.actions]
    mask_BT = length_mask([len(action.tokens) for action in actions])
    nothing_BT = torch.zeros(mask_BT.shape)
    sizes = torch.tensor([len(each.answers) for each in comparisons])
    first = (sizes.cumsum(0) - sizes).tolist()
    pairs = [
        (start + better, start + worse)
        for start, each in zip(first, comparisons, strict=True)
        for better, worse in each.pairs
    ]
    group_B = torch.arange(len(comparisons)).repeat_interleave(sizes)
    pair_N2 = torch.tensor(pairs, dtype=torch.long).view(-1, 2)
    return Trajectories(
        mask_BT, nothing_BT, group_B, nothing_BT, nothing_BT, tuple(actions), pair_N2=pair_N2
    )


def _padded(rows: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(rows), batch_first=True)
