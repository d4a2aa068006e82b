"""A tile of a product, written for the processor's vectors of 512 bits: what stands in the
inmost loops of products, in LLVM's language, since all sums of a tile have to stay in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types

from truing.models.engine.kernels import operator
from truing.models.engine.openmp import cgutils

LANES = 16  # numbers of a vector of 512 bits
VECTORS = 3  # of them side by side in a tile ...
COLUMNS = LANES * VECTORS  # ... which are a panel's columns
ROWS = 8  # of a tile
STEP = COLUMNS * 4  # bytes of a panel that one input takes, or four inputs of a byte each
LINE = 64  # bytes that memory gives at once

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_FLOATS, _INTEGERS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(_I32, LANES)
_BYTES = ir.VectorType(_I8, 4 * LANES)


def has_instructions(*names: str) -> bool:
    """Whether the processor has them all, by LLVM's names, and the system keeps their registers."""
    features = llvm.get_host_cpu_features()
    return all(features.get(name, False) for name in names)


def _tile(
    vector: ir.Type, multiplied: Callable[[ir.IRBuilder, Any, Any, Any], Any], number: ir.Type
) -> Any:
    """An operator that writes a tile: the sums of products of 8 rows with a panel.

    Of `rows` below 8 the last stands for those that aren't there. `number` is what one row gives in a step,
    `multiplied` adds its product with a vector of the panel to a vector of sums. In each step a line of
    memory is asked for, `ahead` bytes behind the last from `soon` on.
    """

    def operate(
        context: Any,
        x: Any,
        row_bytes: Any,
        rows: Any,
        panel: Any,
        depth: Any,
        soon: Any,
        ahead: Any,
        tile: Any,
    ) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, row_bytes, rows, panel, depth, soon, ahead, tile = arguments
            kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
            ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            last = builder.sub(rows, _I64(1))
            starts = []
            for r in range(ROWS):
                there = builder.icmp_signed("<", _I64(r), rows)
                row = builder.select(there, _I64(r), last)
                starts.append(builder.add(x, builder.mul(row, row_bytes)))
            entry = builder.block
            loop, done = builder.append_basic_block(), builder.append_basic_block()
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(_I64)
            step.add_incoming(_I64(0), entry)
            sums = [[builder.phi(vector) for _ in range(VECTORS)] for _ in range(ROWS)]
            place = builder.add(panel, builder.mul(step, _I64(STEP)))
            columns = [_loaded(builder, builder.add(place, _I64(v * LINE))) for v in range(VECTORS)]
            x_place, added = builder.mul(step, _I64(4)), []
            for start, of_row in zip(starts, sums, strict=True):
                one = builder.inttoptr(builder.add(start, x_place), number.as_pointer())
                spread = _spread(builder, builder.load(one))
                added.append(
                    [
                        multiplied(builder, spread, *pair)
                        for pair in zip(columns, of_row, strict=True)
                    ]
                )
            wanted = builder.add(soon, builder.mul(step, ahead))
            read, near, data = _I32(0), _I32(2), _I32(1)
            builder.call(ask, [builder.inttoptr(wanted, _I8.as_pointer()), read, near, data])
            following = builder.add(step, _I64(1))
            step.add_incoming(following, loop)
            for of_row, new in zip(sums, added, strict=True):
                for phi, value in zip(of_row, new, strict=True):
                    phi.add_incoming(ir.Constant(vector, None), entry)
                    phi.add_incoming(value, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)
            builder.position_at_end(done)
            for number_of, value in enumerate(value for new in added for value in new):
                where = builder.add(tile, _I64(number_of * LINE))
                builder.store(value, builder.inttoptr(where, vector.as_pointer())).align = 4
            return context.get_dummy_value()

        where, count = types.uintp, types.intp
        return types.void(where, count, count, where, count, where, count, where), code

    return operator(operate)


def _loaded(builder: Any, place: Any) -> Any:
    """A vector of a panel, as sixteen numbers of four bytes."""
    loaded = builder.load(builder.inttoptr(place, _INTEGERS.as_pointer()))
    loaded.align = 4
    return loaded


def _spread(builder: Any, number: Any) -> Any:
    """A number in all places of a vector of its kind."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    first = builder.insert_element(nothing, number, _I32(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(_INTEGERS, None))


def _fused(builder: Any, x: Any, column: Any, total: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
    return builder.call(fma, [x, builder.bitcast(column, _FLOATS), total])


def _four_at_a_time(builder: Any, x: Any, column: Any, total: Any) -> Any:
    kind = ir.FunctionType(_INTEGERS, [_INTEGERS, _BYTES, _BYTES])
    dot = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx512.vpdpbusd.512")
    return builder.call(dot, [total, builder.bitcast(x, _BYTES), builder.bitcast(column, _BYTES)])


float_tile = _tile(_FLOATS, _fused, ir.FloatType())
integer_tile = _tile(_INTEGERS, _four_at_a_time, _I32)
"""In kernels: see `_tile`."""


@operator
def join_vector(
    context: Any,
    sums: Any,
    below: Any,
    opened: Any,
    scale: Any,
    part: Any,
    largest: Any,
    out: Any,
) -> Any:
    """Writes ((sums - opened) scale + (below - opened) scale part) largest, of 16 columns.

    All but `part` and `largest` are addresses; sums are integers.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, below, opened, scale, part, largest, out = arguments
        scale_C = builder.bitcast(_loaded(builder, scale), _FLOATS)
        opened_C = _loaded(builder, opened)
        part_C, largest_C = (_spread(builder, each) for each in (part, largest))
        one, other = (
            builder.sitofp(builder.sub(_loaded(builder, each), opened_C), _FLOATS)
            for each in (sums, below)
        )
        less = builder.fmul(builder.fmul(other, scale_C), part_C)
        joined = _fused(builder, one, builder.bitcast(scale_C, _INTEGERS), less)
        whole = builder.fmul(joined, largest_C)
        builder.store(whole, builder.inttoptr(out, _FLOATS.as_pointer())).align = 4
        return context.get_dummy_value()

    where, number = types.uintp, types.float32
    return types.void(where, where, where, where, number, number, where), code


def _onto(with_what_is_there: bool) -> Any:
    def operate(context: Any, numbers: Any, into: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = builder.bitcast(_loaded(builder, arguments[0]), _FLOATS)
            if with_what_is_there:
                there = builder.bitcast(_loaded(builder, arguments[1]), _FLOATS)
                value = builder.fadd(there, value)
            place = builder.inttoptr(arguments[1], _FLOATS.as_pointer())
            builder.store(value, place).align = 4
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp), code

    return operator(operate)


put_vector, add_vector = _onto(False), _onto(True)
"""In kernels: 16 numbers at one address go to another, or are added to what is there."""
