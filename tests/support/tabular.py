"""A softmax policy with a logit for every prefix: small enough to enumerate all it can do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from truing.policies.trajectories import Trajectories

TOKENS, LENGTH = 4, 3
PREFIXES = sum(TOKENS**t for t in range(LENGTH))  # 1 + 4 + 16
SEQUENCES = torch.tensor(list(itertools.product(range(TOKENS), repeat=LENGTH)))


def states(tokens_BT: Tensor) -> Tensor:
    """(B, T) number of the prefix that each token follows."""
    columns, prefix, first = [], torch.zeros(len(tokens_BT), dtype=torch.long), 0
    for t in range(LENGTH):
        columns.append(first + prefix)
        first += TOKENS**t
        prefix = prefix * TOKENS + tokens_BT[:, t]
    return torch.stack(columns, 1)


def token_log_probs(logits_SV: Tensor, tokens_BT: Tensor) -> Tensor:
    """(B, T) log-probabilities of the tokens; differentiable in the table of logits."""
    table = logits_SV.log_softmax(-1)
    return table[states(tokens_BT), tokens_BT]


def draw(logits_SV: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(B, T) tokens drawn from the policy."""
    tokens = torch.zeros(count, LENGTH, dtype=torch.long)
    for t in range(LENGTH):
        probs = logits_SV.softmax(-1)[states(tokens)[:, t]]
        tokens[:, t] = torch.multinomial(probs, 1, generator=generator)[:, 0]
    return tokens


def trajectories(
    logits_SV: Tensor, reference_SV: Tensor, tokens_BT: Tensor, reward_B: Tensor, group_B: Tensor
) -> Trajectories:
    """What was drawn, with log-probabilities under the policy that drew and the reference."""
    return Trajectories(
        torch.ones(tokens_BT.shape, dtype=torch.bool),
        torch.zeros(tokens_BT.shape),
        group_B,
        token_log_probs(logits_SV, tokens_BT).detach(),
        token_log_probs(reference_SV, tokens_BT).detach(),
        tuple(tuple(row) for row in tokens_BT.tolist()),
    ).rewarded(reward_B)


class TabularPolicy:
    """See learn.loop.Policy. `piece` trajectories are taken at a time."""

    def __init__(self, logits_SV: Tensor, piece: int = 1 << 30) -> None:
        self.logits = nn.Parameter(logits_SV.clone())
        self.piece = piece

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        return {"logits": self.logits}

    def log_probs(self, trajectories: Trajectories) -> Tensor:
        return token_log_probs(self.logits, torch.tensor(trajectories.data))

    def pieces(self, trajectories: Trajectories) -> Iterator[range]:
        for start in range(0, len(trajectories), self.piece):
            yield range(start, min(start + self.piece, len(trajectories)))
