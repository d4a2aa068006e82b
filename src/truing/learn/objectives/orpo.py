"""ORPO: fine-tuning on the better answer, with a price on the odds of the worse; no reference.

    l = -beta log sigmoid(log odds(better) - log odds(worse)),    odds = P / (1 - P)
    P = exp(log p / |answer|),                                    SFT weight 1

Hong et al. (2024), "ORPO: Monolithic preference optimization without reference model", eq. 6 and 7, where
beta is called lambda.

Departures: none from the paper. Its published code, and TRL's, fine-tune on the prompt's tokens too.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from truing.learn.objectives.pairwise import Pairwise, Side


class Orpo(Pairwise):
    """Odds ratio preference optimisation. `beta` is the price beside the SFT term's weight."""

    name: Literal["orpo"] = "orpo"
    beta: float = Field(0.1, gt=0, description="weight of the odds ratio")
    sft_weight: float = Field(
        1.0, ge=0, description="weight of the better answer's loss per token, as in fine-tuning"
    )

    def described(self, samples_per_prompt: int) -> str:
        """See ObjectivePart."""
        return f"ORPO (beta {self.beta:g})"

    def pair_loss(self, better: Side, worse: Side) -> Tensor:
        """See Pairwise."""
        return -self.beta * logsigmoid(_log_odds(better.per_token_N) - _log_odds(worse.per_token_N))


def _log_odds(log_prob_N: Tensor) -> Tensor:
    """log(P / (1 - P)); P stays far enough below 1 for 1 - P to be a number."""
    least = -torch.finfo(log_prob_N.dtype).eps
    return log_prob_N - torch.log(-torch.expm1(log_prob_N.clamp(max=least)))
