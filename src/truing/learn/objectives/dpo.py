"""DPO: the log-odds of the preferred answer under Bradley and Terry, with log ratios as rewards.

    l = -log sigmoid(beta (log p(better)/p_ref(better) - log p(worse)/p_ref(worse)))

Rafailov et al. (2023), "Direct preference optimization", eq. 7. At first, where the policy is the
reference, every pair's loss is log 2. The gradient is credit beta sigmoid(-beta margin) on the better
answer's log-probability and as much against the worse one's.

Departures: none. Pairs of a step are weighed alike, also where they share an answer.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from truing.learn.objectives.pairwise import Pairwise, Side


class Dpo(Pairwise):
    """Direct preference optimisation. A smaller `beta` lets the policy go further from the reference."""

    name: Literal["dpo"] = "dpo"
    beta: float = Field(0.1, gt=0, description="how closely the policy keeps to the reference")

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"DPO (beta {self.beta:g})"

    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """See Pairwise."""
        return -logsigmoid(self.beta * (better.log_ratio_N - worse.log_ratio_N))
