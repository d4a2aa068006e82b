"""What late judgements are worth: a tabular policy that people of a kind teach, in time and late.

python benchmarks/late_people.py [--seeds N] [--late N] [--steps N] [--ratio token|answer] [--json]

The policy writes two tokens after each of some prompts; a table of numbers, drawn by the seed, says how
good each answer is. Each step it answers some prompts several times, and people compare each answer with
the next. A judgement falls for the better answer with probability sigmoid(2 x difference), and the kinds
differ in the rest. In time, a batch teaches the policy in its own step; late, so many steps after it, with
the truncated importance ratio. Both see the same number of batches, so that the late one makes fewer
updates. Gain: the mean quality of what the policy would write, less that before training, in the mean taste
of these people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from truing.grid.table_policy import SoftmaxTable
from truing.learn.correction import late
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.update import update
from truing.policies.trajectories import Trajectories
from truing.rewards.people import Judged, comparison_shares, preferred_shares
from truing.spec.people import Ratio

PROMPTS, TOKENS = 6, 4
PER_STEP, SAMPLES, WANTED = 4, 4, 3
KINDS = ("slow", "biased", "noisy", "opposed", "adversarial")
LEARNING_RATE = 0.05
BIAS, NOISE, MINORITY, ADVERSE = 1.0, 0.25, 0.3, 0.2

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """Trajectories as they were drawn, the judgements of them, and the step at which each comes."""

    trajectories: Trajectories
    judged: list[Judged]
    at: list[int]


class People:
    """Judges of one kind. `quality` is (prompts, first token, second token)."""

    def __init__(self, kind: str, quality: Floats, rng: np.random.Generator) -> None:
        self.kind, self.quality, self.rng = kind, quality, rng
        # What a biased judge likes besides: one of the last tokens, whatever it says.
        self.look = BIAS * (np.arange(TOKENS) == 0)

    def mean_taste(self) -> Floats:
        """What they would agree on: the quality, weighed by how many are of which mind."""
        return self.quality * ((1 - 2 * MINORITY) if self.kind == "opposed" else 1)

    def prefers_first(self, prompt: int, first: tuple[int, int], second: tuple[int, int]) -> str:
        """Which of two answers one of them prefers."""
        gap = self.quality[prompt][first] - self.quality[prompt][second]
        if self.kind == "biased":
            gap += self.look[first[1]] - self.look[second[1]]
        if self.kind == "opposed" and self.rng.random() < MINORITY:
            gap = -gap
        chance = 1 / (1 + np.exp(-2 * gap))
        if self.kind == "noisy" and self.rng.random() < NOISE:
            chance = 0.5
        if self.kind == "adversarial" and self.rng.random() < ADVERSE:
            chance = 1 - chance
        return "first" if self.rng.random() < chance else "second"

    def delay(self, late_by: int) -> int:
        """How many steps a judgement takes; the slow ones' lie between none and all of it."""
        return int(self.rng.integers(late_by + 1)) if self.kind == "slow" else late_by


def drawn(policy: SoftmaxTable, rng: np.random.Generator) -> Trajectories:
    """A batch of the policy's answers, without rewards."""
    table_SA = policy.probabilities()
    prompts = np.repeat(rng.choice(PROMPTS, PER_STEP, replace=False), SAMPLES)
    rows = []
    for prompt in prompts:
        first = int(rng.choice(TOKENS, p=table_SA[prompt] / table_SA[prompt].sum()))
        state = PROMPTS + int(prompt) * TOKENS + first
        second = int(rng.choice(TOKENS, p=table_SA[state] / table_SA[state].sum()))
        rows.append([[int(prompt), first], [state, second]])
    data = torch.tensor(rows)
    mask = torch.ones(len(rows), 2, dtype=torch.bool)
    nothing = torch.zeros(mask.shape)
    groups = torch.arange(PER_STEP).repeat_interleave(SAMPLES)
    batch = Trajectories(mask, nothing, groups, nothing, nothing, data)
    acting_BT = policy.log_probs(batch).detach()
    return Trajectories(mask, nothing, groups, acting_BT, acting_BT, data)


def judged(people: People, batch: Trajectories, step: int, late_by: int) -> Batch:
    """The batch with what people say: each answer is compared with the next of its prompt."""
    said, at = [], []
    rows = batch.data.tolist()
    for row in range(len(rows)):
        group = row // SAMPLES * SAMPLES
        other = group + (row - group + 1) % SAMPLES
        texts = [(rows[each][0][1], rows[each][1][1]) for each in (row, other)]
        for _ in range(WANTED):
            preferred = people.prefers_first(rows[row][0][0], *texts)
            said.append(Judged(len(said), row, comparison_shares(row, other, preferred)))
            at.append(step + people.delay(late_by))
    return Batch(batch, said, at)


def _arrived(batches: Sequence[Batch], step: int) -> list[tuple[Trajectories, Tensor]]:
    """The batches of which judgements come at this step, with these rewards; and their shares."""
    found = []
    for batch in batches:
        here = [each for each, at in zip(batch.judged, batch.at, strict=True) if at == step]
        if not here:
            continue
        scores = preferred_shares(here)
        reward_B = torch.tensor([scores.get(b, float("nan")) for b in range(PER_STEP * SAMPLES)])
        counts = np.bincount([each.task // SAMPLES for each in here], minlength=PER_STEP)
        share_B = torch.tensor(counts).repeat_interleave(SAMPLES) / (SAMPLES * WANTED)
        found.append((batch.trajectories.rewarded(reward_B), share_B))
    return found


def _together(parts: Sequence[Trajectories]) -> Trajectories:
    groups = [part.group_B + PER_STEP * place for place, part in enumerate(parts)]
    names = ("mask_BT", "reward_BT", "log_prob_BT", "reference_log_prob_BT", "data")
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    corrections = [part.correction_BT for part in parts if part.correction_BT is not None]
    return Trajectories(group_B=torch.cat(groups), correction_BT=torch.cat(corrections), **columns)


def expected(policy: SoftmaxTable, taste: Floats) -> float:
    """The mean taste of what the policy writes, over prompts."""
    table_SA = policy.probabilities()
    first = table_SA[:PROMPTS]
    second = table_SA[PROMPTS:].reshape(PROMPTS, TOKENS, TOKENS)
    return float((first[:, :, None] * second * taste).sum() / PROMPTS)


def gain(kind: str, seed: int, steps: int, late_by: int, ratio: Ratio = "token") -> float:
    """What training with these people gains, their judgements so many steps late."""
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    quality = rng.standard_normal((PROMPTS, TOKENS, TOKENS))
    people = People(kind, quality, rng)
    policy = SoftmaxTable(PROMPTS * (1 + TOKENS), TOKENS)
    optimizer = torch.optim.AdamW([policy.logits], lr=LEARNING_RATE, weight_decay=0.0)
    before = expected(policy, people.mean_taste())
    batches: list[Batch] = []
    for step in range(steps):
        batches = [*batches[-late_by:], judged(people, drawn(policy, rng), step, late_by)]
        parts = []
        for batch, share_B in _arrived(batches, step):
            learner_BT = policy.log_probs(batch).detach()
            parts.append(late(batch, learner_BT, share_B, ratio)[0])
        if parts:
            update(policy, optimizer, Reinforce(), _together(parts), 1.0)
    return expected(policy, people.mean_taste()) - before


def measured(kind: str, seeds: int, steps: int, late_by: int, ratio: Ratio) -> dict[str, float]:
    """Mean gains in time and late, and the late one's share, with twice its standard error (delta)."""
    in_time = np.array([gain(kind, seed, steps, 0, ratio) for seed in range(seeds)])
    late_ = np.array([gain(kind, seed, steps, late_by, ratio) for seed in range(seeds)])
    share = late_.mean() / in_time.mean()
    error = np.std(late_ - share * in_time, ddof=1) / np.sqrt(seeds) / in_time.mean()
    return {"in_time": in_time.mean(), "late": late_.mean(), "share": share, "error": 2 * error}


def main() -> None:
    """Prints a line for each kind of people."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--late", type=int, default=16, help="batches")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--ratio", choices=("token", "answer"), default="token")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {}
    for kind in KINDS:
        found[kind] = measured(kind, options.seeds, options.steps, options.late, options.ratio)
        row = found[kind]
        if not options.json:
            print(
                f"{kind:12} in time {row['in_time']:.3f}  late {row['late']:.3f}  "
                f"{row['share']:.3f} +- {row['error']:.3f}",
                flush=True,
            )
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
