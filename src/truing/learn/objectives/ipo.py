"""IPO: the margin of log ratios is regressed on a constant, so that sure preferences can't drive it on.

    l = (log[p(better)/p_ref(better)] - log[p(worse)/p_ref(worse)] - 1 / (2 beta))^2

Azar et al. (2024), "A general theoretical paradigm to understand learning from human preferences", eq. 17,
where beta is called tau.

Departures: log ratios are means over an answer's tokens, which the paper doesn't print, though its
authors are said to have obtained its results so. `per_token: false` sums them, as printed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from truing.learn.objectives.pairwise import Pairwise, Side


class Ipo(Pairwise):
    """Identity preference optimisation. The margin that it asks for is 1 / (2 `beta`)."""

    name: Literal["ipo"] = "ipo"
    beta: float = Field(0.1, gt=0, description="the margin that is asked for is 1 / (2 beta)")
    per_token: bool = Field(True, description="log ratios are means over tokens, else sums")

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"IPO (beta {self.beta:g})"

    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """See Pairwise."""
        better_N, worse_N = better.log_ratio_N, worse.log_ratio_N
        if self.per_token:
            better_N, worse_N = better_N / better.length_N, worse_N / worse.length_N
        return (better_N - worse_N - 1 / (2 * self.beta)).square()
