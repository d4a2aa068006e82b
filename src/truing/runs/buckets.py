"""Tensors summed over processes a bucket at a time.

A model's adapter has hundreds of small gradients, and each reduction waits for the slowest process anew. As
DistributedDataParallel does (Li et al., 2020, "PyTorch Distributed", section 3.2.2), neighbours are copied
into one flat tensor, which is reduced once and copied back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

BUCKET_BYTES = 4 * 2**20
"""What one reduction holds at most, but for a tensor that is larger by itself."""


def buckets(tensors: Sequence[Tensor], most: int = BUCKET_BYTES) -> Iterator[list[Tensor]]:
    """Neighbours of one precision and device, of `most` bytes together; a larger one alone. In order, so
    that every process makes the same."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        alike = bucket and (bucket[0].dtype, bucket[0].device) == (tensor.dtype, tensor.device)
        if bucket and (not alike or size + tensor.nbytes > most):
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.nbytes
    if bucket:
        yield bucket


@torch.no_grad()
def sum_in_buckets(
    tensors: Sequence[Tensor], meeting: torch.device, most: int = BUCKET_BYTES
) -> int:
    """Replaces each tensor by its sum over all processes, which give as many of the same shapes. Returns
    how many reductions that took.

    `meeting` is the device where processes meet, which may be a card though the tensors aren't on it.
    Summed are the same numbers as one by one, in an order that doesn't depend on who comes first.
    """
    reductions = 0
    for bucket in buckets(tensors, most):
        flat = _flattened(bucket, meeting)
        torch.distributed.all_reduce(flat)
        reductions += 1
        if flat.data_ptr() == bucket[0].data_ptr():
            continue  # it lay there already
        parts = flat.split([tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
    return reductions


def _flattened(bucket: Sequence[Tensor], meeting: torch.device) -> Tensor:
    """(N,) all numbers of a bucket where processes meet; a tensor that is alone stays where it is."""
    if len(bucket) == 1 and bucket[0].is_contiguous():
        return bucket[0].view(-1).to(meeting)
    return torch.cat([tensor.reshape(-1) for tensor in bucket]).to(meeting)
