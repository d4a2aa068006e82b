"""Gradients reduced in buckets, against one reduction for each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from forked import processes
from truing.runs.buckets import BUCKET_BYTES, buckets, sum_in_buckets

SHAPES = [(3,), (40, 7), (1,), (128, 65), (2, 3, 4), (300, 300), (5,)]


def _gradients(rank: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def _reduce(rank: int, count: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count
    )
    one_by_one, bucketed, strided = _gradients(rank), _gradients(rank), _gradients(rank)
    for gradient in one_by_one:
        torch.distributed.all_reduce(gradient)
    reductions = sum_in_buckets(bucketed, torch.device("cpu"), most=40_000)
    turned = [gradient.mT if gradient.ndim > 1 else gradient for gradient in strided]
    sum_in_buckets(turned, torch.device("cpu"))
    torch.save((one_by_one, bucketed, strided, reductions), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("count", [2, 3])
def test_a_bucket_sums_what_each_alone_would(tmp_path: Path, count: int) -> None:
    context = processes()
    started = [context.Process(target=_reduce, args=(n, count, tmp_path)) for n in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    sums = [torch.load(tmp_path / f"{rank}.pt") for rank in range(count)]
    for alone, bucketed, strided, reductions in sums:
        assert reductions == 3  # four small ones, the large one alone, the last
        for number, one in enumerate(alone):
            # Three numbers are summed in another order: two roundings of 6e-8 in each.
            size = sum(_gradients(rank)[number].abs() for rank in range(count))
            for other in (bucketed[number], strided[number]):
                assert ((other - one).abs() <= (0 if count == 2 else 2.4e-7) * size).all()
            assert torch.equal(bucketed[number], sums[0][1][number])  # the same in all


def test_buckets_are_of_one_kind_and_no_larger_than_asked() -> None:
    tensors = [*_gradients(0), torch.zeros(4, dtype=torch.float64), *_gradients(1)]
    made = list(buckets(tensors, most=4 * 10_000))
    assert [id(t) for bucket in made for t in bucket] == [id(t) for t in tensors]
    assert all(len({t.dtype for t in bucket}) == 1 for bucket in made)
    assert all(len(b) == 1 or sum(t.nbytes for t in b) <= 40_000 for b in made)
    assert [len(bucket) for bucket in made] == [5, 1, 1, 1, 5, 1, 1]
    assert len(list(buckets(_gradients(0), BUCKET_BYTES))) == 1
    assert list(buckets([])) == []
