"""One step's tokens: drawn for all rows on the device, and brought here in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from truing.models.language_model import LanguageModel

DRAWN = 8  # rows that are drawn at once: what is made of their scores fits a core's own cache
SCORED = 128  # rows whose scores are computed at once: the head's matrix is read once for them
BLOCK = 128  # scores that are looked at at once, where a highest or a sum is looked for


def draw_tokens(
    scores_NV: Tensor, uniform_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (N,), their log-probabilities (N,) and the sum of the distributions' entropies (1,).

    A row of scores is as long as the vocabulary: it is gone over as few times as possible.
    """
    scaled_NV = scores_NV if temperature in (0, 1) else scores_NV / temperature
    centred_NV = scaled_NV - scaled_NV.amax(-1, keepdim=True)
    weight_NV = centred_NV.exp()
    inner_N = _inner(weight_NV, centred_NV)
    if temperature == 0:
        total_N = weight_NV.sum(-1)
        token_N = _likeliest(scores_NV)
    else:
        token_N, total_N = _inverted(weight_NV, uniform_N)
    log_total_N = total_N.log()
    entropy_1 = (log_total_N - inner_N / total_N).sum(0, keepdim=True)
    log_prob_N = centred_NV.gather(-1, token_N[:, None])[:, 0] - log_total_N
    return token_N, log_prob_N, entropy_1


def _inverted(weight_NV: Tensor, uniform_N: Tensor) -> tuple[Tensor, Tensor]:
    """The first tokens whose weights, summed up to them, exceed these shares of the totals (N,); and the
    totals (N,).

    A processor sums up to each place ten times as slowly as it sums: shares are looked for among blocks,
    and then in one of them.
    """
    N, V = weight_NV.shape
    if V % BLOCK or weight_NV.device.type != "cpu":
        cumulative_NV = weight_NV.cumsum(-1)
        total_N = cumulative_NV[:, -1]
        place_N1 = torch.searchsorted(cumulative_NV, (uniform_N * total_N)[:, None], right=True)
        return place_N1[:, 0].clamp_(max=V - 1), total_N
    blocks = weight_NV.view(N, -1, BLOCK)
    upto_NB = blocks.sum(-1).cumsum(-1)
    total_N1 = upto_NB[:, -1:]
    block_N1, wanted_N1 = _place(upto_NB, uniform_N[:, None] * total_N1)
    before_N1 = torch.nn.functional.pad(upto_NB, (1, 0)).gather(1, block_N1)
    inside = blocks.gather(1, block_N1[:, :, None].expand(-1, -1, BLOCK))[:, 0].cumsum(-1)
    place_N1, _ = _place(inside, wanted_N1 - before_N1)
    return (block_N1 * BLOCK + place_N1)[:, 0], total_N1[:, 0]


def _place(cumulative_NX: Tensor, wanted_N1: Tensor) -> tuple[Tensor, Tensor]:
    """The first place (N, 1) whose sum exceeds what is wanted, and that (N, 1): less than the last sum,
    however sums were rounded, so that something is added at the place."""
    last_N1 = cumulative_NX[:, -1:]
    wanted_N1 = torch.minimum(wanted_N1, torch.nextafter(last_N1, torch.zeros_like(last_N1)))
    return torch.searchsorted(cumulative_NX, wanted_N1, right=True), wanted_N1


def _inner(weight_NV: Tensor, centred_NV: Tensor) -> Tensor:
    """The sum of exp(x) x of each row (N,), on a processor without a matrix of terms; those of x = -inf
    are 0."""
    if weight_NV.device.type == "cpu":
        inner_N = torch.stack([w.dot(x) for w, x in zip(weight_NV, centred_NV, strict=True)])
        if bool(inner_N.isfinite().all()):
            return inner_N
    clamped_NV = centred_NV.clamp(min=-1e4)
    return torch.linalg.vecdot(weight_NV, clamped_NV)  # type: ignore[no-any-return]


def _likeliest(scores_NV: Tensor) -> Tensor:
    """The token of the highest score, the lowest of several: (N,).

    A processor finds a highest number ten times as fast as its place: places are looked for among blocks,
    and then in one of them.
    """
    N, V = scores_NV.shape
    if V % BLOCK or scores_NV.device.type != "cpu":
        return scores_NV.argmax(-1)
    blocks = scores_NV.view(N, -1, BLOCK)
    block_N = blocks.amax(-1).argmax(-1)
    return block_N * BLOCK + blocks[torch.arange(N), block_N].argmax(-1)


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
        scores = model.next_token_scores_of_some(hidden, DRAWN)
        pairs = zip(scores, uniform.split(DRAWN), strict=True)
        parts += [draw_tokens(each, u, temperature) for each, u in pairs]
    return Drawn.of(parts)
