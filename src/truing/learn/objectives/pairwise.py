"""Learning from pairs: of two answers to one prompt, people preferred the first.

    loss = 1/N sum_n [l(better_n, worse_n) - SFT weight * log p(better_n) / |better_n|]

over the N pairs of a step, where l looks at each answer's log-probability (nats, summed over its tokens),
at the same under the reference and at its length. A short objective says what l is.

An answer that stands in several pairs is evaluated once. The loss depends on the policy through the
log-probabilities of whole answers alone, so that it is credit on each side, c_b = -d loss / d log p_b, and
its gradient that of -sum_b c_b log p_b: this is how a prompt whose answers fill more than one pass is
learned from (learn/update.py).

The SFT term keeps what people preferred from becoming less likely while the worse becomes less likely
still (Pang et al., 2024, "Iterative reasoning preference optimization", eq. 2). Departure: it is divided by
the answer's tokens, not by those of prompt and answer.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from truing.learn.objectives.objective import Current, Figures, Loss, Objective
from truing.policies.trajectories import Trajectories
from truing.spec.objective import PairObjectivePart


@dataclass(frozen=True)
class Side:
    """One side of N pairs: the answers' summed log-probabilities (nats) now and under the reference, their
    lengths in tokens, and what the objective's `credit` says of them."""

    log_prob_N: Tensor
    reference_N: Tensor
    length_N: Tensor
    credit_N: Tensor

    @property
    def log_ratio_N(self) -> Tensor:
        """log p / p_reference."""
        return self.log_prob_N - self.reference_N

    @property
    def per_token_N(self) -> Tensor:
        """The mean log-probability of a token."""
        return self.log_prob_N / self.length_N


class Pairwise(Objective, PairObjectivePart):
    """An objective of pairs. `sft_weight` pays for the likelihood of the better answers."""

    off_policy = True

    sft_weight: float = Field(
        0.0, ge=0, description="weight of the better answer's loss per token, as in fine-tuning"
    )

    @abstractmethod
    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """(N,) loss of each pair, without the SFT term; differentiable."""

    @property
    def needs_mismatched(self) -> bool:
        """Whether a batch needs answers to other prompts than theirs; they stand in no pair."""
        return False

    def credit(self, trajectories: Trajectories) -> Tensor:
        """(B, T): 0; the loss says it all."""
        return torch.zeros(trajectories.mask_BT.shape)

    def has_gradient(self, trajectories: Trajectories, credit_BT: Tensor) -> Tensor:
        """(B,) whatever stands in a pair."""
        paired_B = torch.zeros(len(trajectories), dtype=torch.bool)
        paired_B[_pairs(trajectories).flatten()] = True
        return paired_B

    def count(self, trajectories: Trajectories) -> float:
        """The number of pairs."""
        return len(_pairs(trajectories))

    def loss(self, current: Current, credit_BT: Tensor, trajectories: Trajectories) -> Loss:
        """The loss of each pair, as that of its better trajectory; figures of the pairs."""
        better, worse = self._sides(current, credit_BT, trajectories)
        loss_N = self.pair_loss(better, worse) - self.sft_weight * better.per_token_N
        loss_B = torch.zeros(len(trajectories), dtype=loss_N.dtype)
        loss_B = loss_B.index_add(0, _pairs(trajectories)[:, 0], loss_N)
        return Loss(loss_B, {}, _figures(better, worse))

    def _sides(
        self, current: Current, credit_BT: Tensor, trajectories: Trajectories
    ) -> tuple[Side, Side]:
        log_prob_B = current.log_prob_BT.sum(1)
        reference_B = (trajectories.reference_log_prob_BT * trajectories.mask_BT).sum(1)
        length_B = trajectories.mask_BT.sum(1)
        better_N, worse_N = (
            Side(log_prob_B[rows], reference_B[rows], length_B[rows], credit_BT[rows, 0])
            for rows in _pairs(trajectories).unbind(1)
        )
        return better_N, worse_N


def _pairs(trajectories: Trajectories) -> Tensor:
    pair_N2 = trajectories.pair_N2
    assert pair_N2 is not None, "this objective learns from pairs"
    return pair_N2


def _figures(better: Side, worse: Side) -> Figures:
    """Sums over pairs: log-probabilities against the reference, their margin, whose is positive."""
    better_N, worse_N = better.log_ratio_N.detach(), worse.log_ratio_N.detach()
    margin_N = better_N - worse_N
    return {
        "chosen_log_ratio": better_N.sum(),
        "rejected_log_ratio": worse_N.sum(),
        "margin": margin_N.sum(),
        "accuracy": ((margin_N.sign() + 1) / 2).sum(),  # a tie is half right
    }
