"""SimPO: the mean log-probability of a token as reward, a target margin, no reference.

    l = -log sigmoid(beta (log p(better) / |better| - log p(worse) / |worse|) - gamma)

Meng et al. (2024), "SimPO: Simple preference optimization with a reference-free reward", eq. 6; beta 2 to
2.5 and gamma from 0.3 to 1.6 are theirs.

Departures: none.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from truing.learn.objectives.pairwise import Pairwise, Side


class SimPo(Pairwise):
    """Simple preference optimisation. `gamma` is the margin that is asked for."""

    name: Literal["simpo"] = "simpo"
    beta: float = Field(2.0, gt=0, description="scale of the mean log-probability of a token")
    gamma: float = Field(1.0, ge=0, description="margin of the scaled rewards that is asked for")

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"SimPO (beta {self.beta:g}, gamma {self.gamma:g})"

    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """See Pairwise."""
        return -logsigmoid(self.beta * (better.per_token_N - worse.per_token_N) - self.gamma)
