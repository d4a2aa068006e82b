"""Kernels of our own on the threads that PyTorch's operators run on.

Threads of another pool would have to share the cores with PyTorch's, which wait awake for what comes next:
each part of a kernel would be late by the time that the system lets a thread run. libgomp, which PyTorch's
builds for Linux bring, starts a part on a waiting thread within microseconds. Elsewhere kernels run on the
thread that calls them.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils as _untyped
from numba.extending import intrinsic

cgutils: Any = _untyped
"""Numba's helpers for writing code, which have no types."""
_TORCH = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
_ANYTHING, _NUMBER, _LONG = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)


@cache
def _functions() -> tuple[int, int]:
    """Where libgomp's functions stand that start a job, and that say which thread they are called on; 0
    without it. They are asked of PyTorch's library: a process may have loaded several, each with threads
    of its own."""
    if not sys.platform.startswith("linux") or not torch.backends.openmp.is_available():
        return 0, 0
    try:
        library = ctypes.CDLL(str(_TORCH))
        functions = library.GOMP_parallel, library.omp_get_thread_num
    except (OSError, AttributeError):
        return 0, 0
    fork, which = (ctypes.cast(each, ctypes.c_void_p).value or 0 for each in functions)
    return fork, which


def team(parts: int) -> tuple[int, int, int]:
    """What `on_threads` begins with, for work of so many parts: this pass's threads, no more than parts."""
    fork, which = _functions()
    return fork, which, max(1, min(parts, torch.get_num_threads())) if fork else 1


def _on_threads(context: Any, fork: Any, which: Any, threads: Any, kernel: Any, given: Any) -> Any:
    """Calls a compiled kernel on so many threads at once, with the thread's number, their number and what
    is given (a tuple), and returns when all have. Nothing may be raised in it."""
    of_kernel = kernel.get_call_type(context, (types.intp, types.intp, *given.types), {})

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        fork, which, threads, _, given = arguments
        compiled = kernel.dispatcher.overloads[of_kernel.args]
        context.active_code_library.add_linking_library(compiled.library)

        def call(builder: Any, number: Any, threads: Any, given: Any) -> None:
            each = cgutils.unpack_tuple(builder, given, len(of_kernel.args) - 2)
            whole = [number, threads, *each]
            context.call_internal_no_propagate(builder, compiled.fndesc, of_kernel, whole)

        packed = cgutils.pack_struct(builder, [which, threads, given])
        place = cgutils.alloca_once_value(builder, packed)
        kind = ir.FunctionType(ir.VoidType(), [_ANYTHING])
        job = ir.Function(builder.module, kind, f"{builder.function.name}.job")
        job.linkage = "internal"
        inside = ir.IRBuilder(job.append_basic_block())
        whole = inside.load(inside.bitcast(job.args[0], place.type))
        asked, together, passed = cgutils.unpack_tuple(inside, whole, 3)
        asked = inside.inttoptr(asked, ir.FunctionType(_NUMBER, []).as_pointer())
        call(inside, inside.sext(inside.call(asked, []), _LONG), together, passed)
        inside.ret_void()
        with builder.if_else(builder.icmp_signed("==", threads, _LONG(1))) as (alone, many):
            with alone:
                call(builder, _LONG(0), threads, given)
            with many:
                kind = ir.FunctionType(ir.VoidType(), [_ANYTHING, _ANYTHING, _NUMBER, _NUMBER])
                start = builder.inttoptr(fork, kind.as_pointer())
                here = [builder.bitcast(each, _ANYTHING) for each in (job, place)]
                builder.call(start, [*here, builder.trunc(threads, _NUMBER), _NUMBER(0)])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp, kernel, given), code


on_threads: Any = intrinsic(_on_threads)
