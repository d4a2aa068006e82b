"""Attention of a level of a packed tree, in pieces that bound every mask and every matrix of scores.

A prefix that all rows share stands apart: its keys aren't copied for each row, and no mask speaks of
them. Where gradients are wanted and there is more than one piece, what a piece needs is made again in the
backward pass, so that the scores of one piece alone are in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from truing.models.engine.attention import (
    ScoreRule,
    can_join,
    grouped_attention,
    joined_attention,
)
from truing.models.engine.levels import Level, Piece

_COPIES = 4  # of a matrix of scores that plain products and their gradients have at once

_Kernel = Callable[[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor], Tensor], Tensor]
"""Attention (B, H, T, D) from queries, the prefix's keys and values, each row's own, and their mask."""


def attend_level(
    level: Level,
    query_NHD: Tensor,
    key_SKD: Tensor,
    value_SKD: Tensor,
    rule: ScoreRule,
    prefix: int,
) -> Tensor:
    """(N, H, D) of the level's tokens in its own order. Differentiable.

    The first `prefix` keys are those of a prefix that may be apart (0: none may).
    """
    H, K = query_NHD.shape[1], key_SKD.shape[1]
    here = query_NHD.device.type == "cpu"
    # The processor's kernel keeps no scores: only a mask, for the heads that share their keys.
    per_score, per_key = H // K if here and rule.plain else H, key_SKD[0].numel()
    prefix, beside = prefix if level.below_prefix else 0, 0
    kernel: _Kernel = partial(_masked, rule=rule)
    if prefix and can_join(query_NHD.device):
        kernel = partial(joined_attention, rule=rule)
    elif prefix and here and level.fits(per_score, per_key):
        prefix = 0  # one kernel is faster than two, and copies do no harm
    elif prefix:
        kernel, per_score, beside = partial(_joined, rule=rule), _COPIES * H, prefix
    pieces = list(level.pieces(rule.window, prefix, beside, per_score, per_key))
    again = torch.is_grad_enabled() and (len(pieces) > 1 or beside > 0)
    outputs: list[Tensor] = []
    for piece in pieces:
        work = partial(_attend_piece, level, piece, rule.window, prefix, kernel)
        if again:
            work = partial(checkpoint, work, use_reentrant=False, preserve_rng_state=False)
        outputs.append(work(query_NHD, key_SKD, value_SKD))
    return _in_order(level, pieces, outputs)


def _attend_piece(
    level: Level,
    piece: Piece,
    window: int | None,
    prefix: int,
    kernel: _Kernel,
    query_NHD: Tensor,
    key_SKD: Tensor,
    value_SKD: Tensor,
) -> Tensor:
    """(B T, H, D)."""
    query_BT = level.query_index_BT[piece.rows, piece.queries]
    key_BS = level.key_index_BS[piece.rows, piece.keys]
    q, k, v = (
        states.index_select(0, index.flatten())
        .view(len(index), -1, *states.shape[1:])
        .transpose(1, 2)
        for states, index in ((query_NHD, query_BT), (key_SKD, key_BS), (value_SKD, key_BS))
    )
    shared = (key_SKD[:prefix].transpose(0, 1), value_SKD[:prefix].transpose(0, 1))
    output = kernel(q, shared, (k, v), level.allowed(window, piece))
    return output.transpose(1, 2).reshape(query_BT.numel(), *query_NHD.shape[1:])


def _masked(
    query_BHTD: Tensor,
    shared: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    allowed_BTS: Tensor,
    *,
    rule: ScoreRule,
) -> Tensor:
    """All keys are each row's own."""
    return grouped_attention(query_BHTD, *own, allowed_BTS, rule)


def _joined(
    query_BHTD: Tensor,
    shared: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    allowed_BTS: Tensor,
    *,
    rule: ScoreRule,
) -> Tensor:
    """As `joined_attention`, differentiable, on any device: one softmax over both parts' scores."""
    kind, dtype = query_BHTD.device.type, query_BHTD.dtype
    if kind == "cpu" and dtype == torch.bfloat16:  # twice as slow as float32, backwards
        query_BHTD = query_BHTD.float()
        shared, own = _float(shared), _float(own)
    B, H, T, D = query_BHTD.shape
    (K, R, _), G = shared[0].shape, H // shared[0].shape[0]
    output: Tensor
    with torch.autocast(kind, enabled=False):
        folded = (query_BHTD * rule.scale).reshape(B, K, G * T, D)
        together = folded.transpose(0, 1).reshape(K, B * G * T, D)
        before = (together @ shared[0].transpose(1, 2)).view(K, B, G * T, R).transpose(0, 1)
        beside = (folded @ own[0].transpose(2, 3)).view(B, K, G, T, -1)
        beside = beside.masked_fill(~allowed_BTS[:, None, None], float("-inf")).flatten(2, 3)
        scores = torch.cat((before, beside), dim=-1)
        exact = torch.promote_types(scores.dtype, torch.float32)
        weights = rule.weights(scores.to(exact).view(B, K, G, T, -1), K, G, 1, 1)
        weights = weights.flatten(2, 3).to(scores.dtype)
        on_shared, on_own = weights.split([R, beside.shape[-1]], dim=-1)
        from_shared = on_shared.transpose(0, 1).reshape(K, B * G * T, R) @ shared[1]
        output = on_own @ own[1] + from_shared.view(K, B, G * T, D).transpose(0, 1)
    return output.to(dtype).reshape(B, H, T, D)


def _float(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0].float(), pair[1].float()


def _in_order(level: Level, pieces: list[Piece], outputs: list[Tensor]) -> Tensor:
    """(N, H, D): the tokens of the pieces as they stand in the level, without what was padded."""
    if len(pieces) == 1:
        return outputs[0].index_select(0, level.valid_N)
    place_BT = torch.zeros_like(level.query_index_BT)
    start = 0
    for piece in pieces:
        part_BT = place_BT[piece.rows, piece.queries]
        count = part_BT.numel()
        part_BT.copy_(torch.arange(start, start + count, device=place_BT.device).view_as(part_BT))
        start += count
    return torch.cat(outputs).index_select(0, place_BT.flatten()[level.valid_N])
