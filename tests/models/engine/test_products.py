"""Our own products against float64 and integers of any size, on any number of threads."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor

from truing.models.engine import int8, matrix_tiles, openmp
from truing.models.engine.float_products import DEPTH, FloatPanels
from truing.models.engine.integer_products import IntegerPanels
from truing.models.engine.panels import can_multiply
from truing.models.engine.tiles import COLUMNS, ROWS

SHAPES = [
    (1, 1, 1),
    (ROWS, DEPTH, COLUMNS),
    (ROWS + 1, DEPTH + 3, COLUMNS + 1),
    (33, 576, 100),
    (300, 2 * DEPTH + 4, 2 * COLUMNS - 1),
]
"""Rows, inputs and outputs: whole tiles and their edges, sums in one part and in several."""


def _drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.skipif(not can_multiply("float32"), reason="this processor has no AVX-512")
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_sums_are_those_of_float64_and_a_row_s_bits_its_own(
    rows: int, inputs: int, outputs: int, threads: int
) -> None:
    x, weight = _drawn(rows, inputs), _drawn(outputs, inputs)
    product = FloatPanels(weight)
    found = product(x)
    size = x.abs().double() @ weight.abs().double().T
    wanted = x.double() @ weight.double().T
    assert float(((found - wanted).abs() / size).max()) < 4e-7
    torch.set_num_threads(1)
    for some in (slice(0, 1), slice(rows // 3, None), slice(rows - 1, rows)):
        assert torch.equal(product(x[some]), found[some])
    assert torch.equal(
        product(x.T.contiguous().T), found
    )  # rows that don't stand one behind the other


@pytest.mark.skipif(not can_multiply("int8"), reason="this processor has no AVX-512 VNNI")
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 4, 1), (9, 260, 49), (300, 576, 100)])
def test_integers_give_what_exact_sums_and_onednn_give(
    rows: int, inputs: int, outputs: int, threads: int
) -> None:
    x = _drawn(rows, inputs) * torch.logspace(-6, 6, rows)[:, None]
    weight, scale = int8.rounded(_drawn(outputs, inputs))[0], torch.rand(outputs) + 0.1
    panels = IntegerPanels(weight, scale)
    found = panels(*int8.rounded_twice(x, panels.above))
    integers, largest = int8.rounded_twice(x)
    first, second = (integers.double() @ weight.double().T).chunk(2)
    wanted = (first + second / 254) * scale.double() * largest.double()[:, None]
    size = (integers[:rows].double().abs() @ weight.double().abs().T) * scale * largest[:, None]
    assert float(((found - wanted).abs() / (size + 1e-300)).max()) < 4e-7
    other = int8._OneDnn(weight, scale)(integers, largest)
    assert float(((found - other).abs() / (size + 1e-300)).max()) < 4e-7


@pytest.mark.skipif(
    not (can_multiply("int8") and matrix_tiles.are_here()), reason="this processor has no AMX"
)
@pytest.mark.parametrize("outputs", [1, 16, 47, 49, 200])
def test_tile_registers_give_the_bits_of_vectors(outputs: int, threads: int) -> None:
    """Of rows and columns that fill tiles and that don't; what lies behind the rows has no effect."""
    weight, scale = int8.rounded(_drawn(outputs, 192))[0], torch.rand(outputs) + 0.1
    tiled, plain = IntegerPanels(weight, scale), IntegerPanels(weight, scale)
    assert tiled._tiled
    plain._tiled = False
    for rows in (1, 15, 16, 17, 31, 32, 33, 70):
        given = int8.rounded_twice(_drawn(rows, 192), tiled.above)
        wanted = plain(*given)
        assert torch.equal(tiled(*given), wanted)
        without_room = given[0].clone()
        assert torch.equal(tiled(without_room, given[1]), wanted)


def test_inputs_that_fill_no_tile_are_multiplied_by_vectors() -> None:
    if can_multiply("int8"):
        weight = int8.rounded(_drawn(5, 68))[0]
        assert not IntegerPanels(weight, torch.ones(5))._tiled


def test_other_copies_of_libgomp_change_nothing() -> None:
    """scikit-learn brings one: which products a process has must not hang on whether it was loaded."""
    before = openmp._functions()
    importlib.import_module("sklearn.linear_model")
    openmp._functions.cache_clear()
    assert openmp._functions() == before


def test_without_libgomp_kernels_run_on_the_thread_that_calls_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = _drawn(40, 12)
    wanted = int8.rounded_twice(x)
    monkeypatch.setattr(openmp, "_functions", lambda: (0, 0))
    assert openmp.team(5) == (0, 0, 1)
    assert all(map(torch.equal, int8.rounded_twice(x), wanted))
    can_multiply.cache_clear()
    assert not can_multiply("float32")
    can_multiply.cache_clear()
