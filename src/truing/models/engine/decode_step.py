"""A layer in a decode step on the processor: each row adds a token, and what stands between the products is
done by kernels, each for what would be some ten operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from truing.models.engine import kernels
from truing.models.engine.batch_cache import SharedCache
from truing.models.engine.families import Norm, parts_of
from truing.models.engine.kernels import array_of
from truing.models.engine.linears import Linears

DTYPES = (torch.float32, torch.bfloat16)
"""Of rows that kernels take."""


def normed(x_NE: Tensor, beside_NE: Tensor | None, norm: Norm) -> Tensor:
    """The norm of the sum, which x is afterwards."""
    gain = array_of(norm.gain(torch.float32).detach())
    out_NE, eps = torch.empty_like(x_NE), np.float32(norm.eps)
    if beside_NE is None:
        kernels.norm(array_of(x_NE), gain, eps, array_of(out_NE))
    else:
        kernels.norm_of_sum(array_of(x_NE), array_of(beside_NE), gain, eps, array_of(out_NE))
    return out_NE


class StepLayer:
    """One layer, with the products of its packed form."""

    def __init__(self, number: int, layer: Any, linears: Linears) -> None:
        self._number = number
        self._linears = linears
        self._parts = parts_of(layer)
        self.turn = self._parts.turn

    def __call__(
        self,
        x_NE: Tensor,
        beside_NE: Tensor | None,
        cos_N1D: Tensor,
        sin_N1D: Tensor,
        cache: SharedCache,
    ) -> Tensor:
        """What stands beside the hidden states afterwards: (N, E). What stood beside them has been added to
        x, and so has what attention gives."""
        linears, parts = self._linears, self._parts
        (H, K), dtype = parts.heads, x_NE.dtype
        heads = linears.queries_keys_values(normed(x_NE, beside_NE, parts.before[0]))
        heads_NAD = heads.view(len(x_NE), H + 2 * K, -1)
        if parts.of_heads is not None:
            queries_and_keys = parts.of_heads(heads_NAD[:, : H + K], H, dtype)
            heads_NAD = torch.cat((queries_and_keys, heads_NAD[:, H + K :]), dim=1)
        turn = cos_N1D[:, 0], sin_N1D[:, 0]
        attended_NHD = cache.attend_unturned(self._number, heads_NAD, *turn, parts.rule)
        attended_NE = linears.attention_output(attended_NHD.flatten(1))
        attended_NE = _behind(parts.behind[0], attended_NE)
        inner_NF = linears.gated(normed(x_NE, attended_NE, parts.before[1]), parts.gate)
        return _behind(parts.behind[1], linears.down(inner_NF))


def _behind(norm: Norm | None, output_NE: Tensor) -> Tensor:
    return output_NE if norm is None else normed(output_NE, None, norm)
