"""The precision that a computation is really done in.

bfloat16 is asked for because it is faster. A processor without instructions for it multiplies it ten
times slower than float32 (LOG.md), so there float32 is used instead: never slower, never less exact.
"""

from __future__ import annotations

from functools import cache

import torch

from truing.types import Dtype

_TORCH: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@cache
def has_fast_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 at least as fast as float32."""
    if torch.accelerator.is_available():
        return True
    return bool(
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def computed_in(dtype: Dtype) -> Dtype:
    """`dtype` where this machine is fast in it, else float32."""
    return "float32" if dtype == "bfloat16" and not has_fast_bfloat16() else dtype


def substitution(dtype: Dtype) -> str:
    """A sentence for the user where float32 stands in for `dtype`; empty where nothing does."""
    if computed_in(dtype) == dtype:
        return ""
    return f"{dtype}: this processor is slow in it; float32 is used instead, faster and more exact."


def torch_dtype(dtype: Dtype) -> torch.dtype:
    """PyTorch's name for `computed_in(dtype)`."""
    return _TORCH[computed_in(dtype)]
