"""Parameters of which each process holds some rows."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn


class RowShard(nn.Parameter):
    """This process's rows of a parameter. Rows lie in the order of the processes, as many in each as fit
    evenly, rounded up; the last ones may hold fewer or none.

    `whole` is the shape of all.
    """

    whole: torch.Size

    @classmethod
    def of(cls, rows: Tensor, whole: Tensor) -> Self:
        """Rows (rows here, ...) of a parameter like `whole`. They keep their place in memory."""
        shard = cls(rows, requires_grad=whole.requires_grad)
        shard.whole = whole.shape
        return shard


def is_shared_out(parameter: Tensor) -> bool:
    """Whether others hold rows of it too."""
    return isinstance(parameter, RowShard)


def shape_of(parameter: Tensor) -> tuple[int, ...]:
    """The shape of the whole parameter."""
    return tuple(parameter.whole if isinstance(parameter, RowShard) else parameter.shape)


def own_part(parameter: Tensor, values: Tensor, index: int, count: int) -> Tensor:
    """Of values of the whole parameter those that belong here: to process `index` of `count`."""
    if not isinstance(parameter, RowShard) or values.shape != parameter.whole:
        return values
    each = -(-parameter.whole[0] // count)
    return values[index * each : (index + 1) * each]
