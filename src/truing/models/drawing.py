"""One step's tokens: drawn for all rows on the device, and brought here in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from truing.models.engine.drawing_kernel import draw
from truing.models.engine.kernels import array_of
from truing.models.engine.openmp import team
from truing.models.language_model import LanguageModel

DRAWN = 8  # rows that operators draw at once: what they make of scores is several times as large
SCORED = 128  # rows whose scores are computed at once: the head's matrix is read once for them


def draw_tokens(
    scores_NV: Tensor, uniform_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (N,), their log-probabilities (N,) and the sum of the distributions' entropies (1,)."""
    if scores_NV.device.type == "cpu" and scores_NV.dtype == torch.float32:
        return _by_kernel(scores_NV, uniform_N, temperature)
    return by_operators(scores_NV, uniform_N, temperature)


def _by_kernel(
    scores_NV: Tensor, uniform_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    N = len(scores_NV)
    token_N, log_prob_N = torch.empty(N, dtype=torch.long), torch.empty(N)
    entropy_N = torch.empty(N, dtype=torch.float64)
    scores, uniform = array_of(scores_NV.contiguous()), array_of(uniform_N.float().contiguous())
    found = array_of(token_N), array_of(log_prob_N), array_of(entropy_N)
    draw(*team(N), scores, uniform, np.float32(temperature), *found)
    return token_N, log_prob_N, entropy_N.sum(0, keepdim=True)


def by_operators(
    scores_NV: Tensor, uniform_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same on any device."""
    scaled_NV = scores_NV if temperature in (0, 1) else scores_NV / temperature
    centred_NV = scaled_NV - scaled_NV.amax(-1, keepdim=True)
    weight_NV = centred_NV.exp()
    inner_N = torch.linalg.vecdot(weight_NV, centred_NV.clamp(min=-1e4))
    if temperature == 0:
        total_N = weight_NV.sum(-1)
        token_N = scores_NV.argmax(-1)
    else:
        cumulative_NV = weight_NV.cumsum(-1)
        total_N = cumulative_NV[:, -1]
        wanted_N1 = (uniform_N * total_N)[:, None]
        place_N1 = torch.searchsorted(cumulative_NV, wanted_N1, right=True)
        token_N = place_N1[:, 0].clamp_(max=scores_NV.shape[1] - 1)
    log_total_N = total_N.log()
    entropy_1 = (log_total_N - inner_N / total_N).sum(0, keepdim=True)
    log_prob_N = centred_NV.gather(-1, token_N[:, None])[:, 0] - log_total_N
    return token_N, log_prob_N, entropy_1


@dataclass(frozen=True)
class Drawn:
    """One step's tokens on the device, and all that is asked of them in Python."""

    token_N: Tensor
    tokens: list[int]
    log_probs: list[float]
    entropy: float

    @staticmethod
    def of(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Drawn:
        """What `draw_tokens` gave for some rows after others. Waits for the device once."""
        tokens, log_probs, entropies = zip(*parts, strict=True)
        token_N = torch.cat(tokens)
        N = len(token_N)
        # Float32 holds every token's number: vocabularies have fewer than 2^24.
        values = torch.cat((token_N.float(), *log_probs, *entropies)).tolist()
        return Drawn(token_N, [int(v) for v in values[:N]], values[N : 2 * N], sum(values[2 * N :]))


def draw_all(
    model: LanguageModel, hidden_NE: Tensor, uniform_N: Tensor, temperature: float
) -> Drawn:
    """`draw_tokens` for hidden states (N, E), some rows at a time."""
    parts = []
    for hidden, uniform in zip(hidden_NE.split(SCORED), uniform_N.split(SCORED), strict=True):
        rows = SCORED if hidden.device.type == "cpu" else DRAWN
        scores = model.next_token_scores_of_some(hidden, rows)
        pairs = zip(scores, uniform.split(rows), strict=True)
        parts += [draw_tokens(each, u, temperature) for each, u in pairs]
    return Drawn.of(parts)
