"""The processor's tile registers (AMX), which multiply 16 x 64 by 64 x 16 integers of a byte at once.

They stand in integer_products.py's inmost loop and are written in LLVM's language. Intel, "Architecture
instruction set extensions programming reference", chapter 3, has the instructions. Sums are exact, so that
they are those of tiles.py's vectors. Linux lets a process use such registers when it asks.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from truing.models.engine.kernels import operator
from truing.models.engine.openmp import cgutils
from truing.models.engine.tiles import LANES, LINE, STEP, has_instructions

SIDE = 16  # rows of a tile, and columns of the sums
INPUTS = 64  # of a tile: a byte each
HALVES = 2  # of a row's numbers: two integers stand for one
TILES = 2  # of rows at once, at most: with both halves of each the sums fill four registers

_I8, _I64 = ir.IntType(8), ir.IntType(64)
_ANYWHERE = _I8.as_pointer()
_ROW = SIDE * 4  # bytes of a row of sums
_LEFT, _RIGHT = 6, 7  # registers; sums are in the first
# Linux: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
_ARCH_PRCTL, _ASK, _TILE_DATA = 158, 0x1023, 18


@cache
def are_here() -> bool:
    """Whether the processor has such registers, and the system lets this process use them."""
    if not has_instructions("amx-tile", "amx-int8"):
        return False
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _ASK, _TILE_DATA) == 0)


def shapes() -> np.ndarray:
    """What `begin` is given: all eight registers hold 16 rows of 64 bytes."""
    shapes = np.zeros(64, np.uint8)
    shapes[0] = 1  # the only kind of shapes that there is
    shapes[16:32].view(np.uint16)[:] = INPUTS
    shapes[48:56] = SIDE
    return shapes


def _instruction(builder: Any, name: str, *kinds: Any) -> Callable[..., Any]:
    kind = ir.FunctionType(ir.VoidType(), list(kinds))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}")
    return lambda *given: builder.call(function, given)


@operator
def begin(context: Any, shapes: Any) -> Any:
    """Before a thread's first tiles; `shapes` is their address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.inttoptr(arguments[0], _ANYWHERE)
        _instruction(builder, "x86.ldtilecfg", _ANYWHERE)(place)
        return context.get_dummy_value()

    return types.void(types.uintp), code


@operator
def end(context: Any) -> Any:
    """Behind its last: the system needn't keep the registers any longer."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _instruction(builder, "x86.tilerelease")()
        return context.get_dummy_value()

    return types.void(), code


def _multiply(tiles: int) -> Any:
    """An operator that writes the sums of products of so many times 16 rows with 16 columns of a panel.

    Given are the addresses of the rows' first and second integers, how many bytes rows are apart, the
    address of the columns, how many steps of 64 inputs there are, from where on a line of memory is asked
    for with each four inputs (`soon`), and the address of the sums: (tiles, halves, 16, 16).
    """

    def operate(
        context: Any,
        first: Any,
        second: Any,
        row_bytes: Any,
        columns: Any,
        steps: Any,
        soon: Any,
        sums: Any,
    ) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            first, second, row_bytes, columns, steps, soon, sums = arguments
            number, registers = ir.IntType(32), range(tiles * HALVES)
            empty = _instruction(builder, "x86.tilezero", _I8)
            load = _instruction(builder, "x86.tileloadd64", _I8, _ANYWHERE, _I64)
            multiply = _instruction(builder, "x86.tdpbusd", _I8, _I8, _I8)
            store = _instruction(builder, "x86.tilestored64", _I8, _ANYWHERE, _I64)
            ask = _instruction(builder, "prefetch.p0", _ANYWHERE, number, number, number)

            def there(address: Any, *offsets: Any) -> Any:
                for offset in offsets:
                    address = builder.add(address, offset)
                return builder.inttoptr(address, _ANYWHERE)

            for register in registers:
                empty(_I8(register))
            before, loop, behind = builder.block, *(builder.append_basic_block() for _ in range(2))
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_I64)
            step.add_incoming(_I64(0), before)
            lines = builder.mul(step, _I64(SIDE * STEP))
            load(_I8(_RIGHT), there(columns, lines), _I64(STEP))
            place = builder.mul(step, _I64(INPUTS))
            for register in registers:
                tile, half = divmod(register, HALVES)
                apart = builder.mul(row_bytes, _I64(tile * SIDE))
                load(_I8(_LEFT), there((first, second)[half], place, apart), row_bytes)
                multiply(_I8(register), _I8(_LEFT), _I8(_RIGHT))
            for line in range(SIDE):
                ask(there(soon, lines, _I64(line * STEP)), number(0), number(2), number(1))
            following = builder.add(step, _I64(1))
            step.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, steps), loop, behind)
            builder.position_at_end(behind)
            for register in registers:
                store(_I8(register), there(sums, _I64(register * SIDE * _ROW)), _I64(_ROW))
            return context.get_dummy_value()

        where, count = types.uintp, types.intp
        return types.void(where, where, count, where, count, where, where), code

    return operator(operate)


assert SIDE == LANES and _ROW == LINE  # a panel's columns are three tiles', side by side
multiply_one, multiply_two = (_multiply(tiles) for tiles in range(1, TILES + 1))
"""In kernels: see `_multiply`."""
