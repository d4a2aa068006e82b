"""Length-normalised DPO: log ratios per token, so that a long answer doesn't count for its length.

    l = -log sigmoid(beta (log[p(better)/p_ref(better)] / |better| - log[p(worse)/p_ref(worse)] / |worse|))

Lambert et al. (2024), "Tulu 3: Pushing frontiers in open language model post-training", eq. 6, whose beta
is 5: per token, margins are smaller by the length of an answer.

Departures: none.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from truing.learn.objectives.pairwise import Pairwise, Side


class DpoNorm(Pairwise):
    """DPO with means over tokens in place of sums."""

    name: Literal["dpo_norm"] = "dpo_norm"
    beta: float = Field(5.0, gt=0, description="how closely the policy keeps to the reference")

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"length-normalised DPO (beta {self.beta:g})"

    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """See Pairwise."""
        better_N = better.log_ratio_N / better.length_N
        return -logsigmoid(self.beta * (better_N - worse.log_ratio_N / worse.length_N))
