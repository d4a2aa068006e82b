"""The precision that a computation is really done in.

bfloat16 is asked for because it is faster. A processor may lack instructions for it, and oneDNN then
emulates it, many times slower than float32, though it calls bfloat16 supported (LOG.md). So both are
timed, once for each machine, version of PyTorch and number of threads; where bfloat16 isn't faster,
float32 is used instead: never slower, never less exact.
"""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from truing.models import devices
from truing.models import processor as cpu
from truing.models.engine.int8 import why_not as why_not_int8
from truing.models.user_cache import (
    ModelUnavailable,
    cache_folder,
    one_process,
    remember,
    remembered,
)
from truing.progress import SilentProgress
from truing.spec.sampler import Products
from truing.types import Dtype, InputError, stable_hash

_TORCH: dict[Dtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_ROWS, _IN, _OUT = 512, 576, 1536  # a pass of the default model through half a feed-forward layer
_ROUNDS = 5
_MEMORY = "precision.json"
_NAMING = ("model name", "flags", "Features", "CPU part")
_LIMITS = (
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "MKL_ENABLE_INSTRUCTIONS",
)
"""Variables that forbid libraries some of the processor's instructions."""


@dataclass
class _Granted:
    """What another process has found, where this one goes by it."""

    bfloat16: bool | None = None


_granted = _Granted()


def take_for_granted(bfloat16: bool) -> None:
    """Lets this process compute in the precision that another chose: `bfloat16`, whether it is fast
    there."""
    _granted.bfloat16 = bfloat16
    has_fast_bfloat16.cache_clear()


@cache
def has_fast_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 at least as fast as float32.

    Measured where the cache folder doesn't say it yet.
    """
    if _granted.bfloat16 is not None:
        return _granted.bfloat16
    key = f"{processor()}|{torch.__version__}|{torch.get_num_threads()} threads"
    try:
        # One at a time, so that processes that learn together find the same.
        with one_process("precision", SilentProgress()):
            return _remembered_faster(cache_folder() / _MEMORY, key) == "bfloat16"
    except (InputError, ModelUnavailable):  # without a cache it is measured each time
        return _faster() == "bfloat16"


@cache
def processor() -> str:
    """What decides how fast this processor multiplies: its name, its instructions, those forbidden."""
    parts = [platform.machine(), platform.processor()]
    parts += dict.fromkeys(line for line in cpu.lines() if line.startswith(_NAMING))
    parts += [f"{name}={os.environ[name]}" for name in _LIMITS if name in os.environ]
    return stable_hash("processor", *parts)


def _remembered_faster(memory: Path, key: str) -> str:
    known = remembered(memory).get(key, "")
    if known in _TORCH:
        return known
    faster = _faster()
    remember(memory, {key: faster})
    return faster


def _faster() -> Dtype:
    """The precision in which a product is done first, each by the best of a few turns."""
    products = {dtype: _product(dtype) for dtype in _TORCH}
    best = dict.fromkeys(products, math.inf)
    for _ in range(_ROUNDS):
        for dtype, product in products.items():  # in turns: what disturbs one disturbs the other
            begun = time.perf_counter()
            product()
            best[dtype] = min(best[dtype], time.perf_counter() - begun)
    return "bfloat16" if best["bfloat16"] <= best["float32"] else "float32"


def _product(dtype: Dtype) -> Callable[[], torch.Tensor]:
    rows_NE = torch.ones(_ROWS, _IN, dtype=_TORCH[dtype])
    weight_FE = torch.ones(_OUT, _IN, dtype=_TORCH[dtype])

    def product() -> torch.Tensor:
        with torch.inference_mode():
            return torch.nn.functional.linear(rows_NE, weight_FE)

    return product


def computed_in(dtype: Dtype) -> Dtype:
    """`dtype` where the device is fast in it, else float32."""
    return "float32" if dtype == "bfloat16" and not _is_fast(devices.device()) else dtype


def numerics(dtype: Dtype) -> str:
    """Under which figures computed in `dtype` are filed: the precision that they are really computed
    in, with the kind of device where it isn't the processor."""
    precision, kind = computed_in(dtype), devices.device().type
    return precision if kind == "cpu" else f"{precision} on {kind}"


def _is_fast(device: torch.device) -> bool:
    """Whether bfloat16 is worth asking for. Cards without it emulate it or refuse it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return _can_multiply(device) if device.type == "mps" else has_fast_bfloat16()


@cache
def _can_multiply(device: torch.device) -> bool:
    """Whether the device takes bfloat16 at all."""
    try:
        two_NE = torch.ones(2, 2, dtype=torch.bfloat16, device=device)
        return bool((two_NE @ two_NE).isfinite().all())
    except (RuntimeError, TypeError):
        return False


def substitution(dtype: Dtype) -> str:
    """A sentence for the user where float32 stands in for `dtype`; empty where nothing does."""
    if computed_in(dtype) == dtype:
        return ""
    if (kind := devices.device().type) != "cpu":
        return f"{dtype}: this {kind} device lacks it; float32 is used instead, more exact."
    return f"{dtype}: this processor is slow in it; float32 is used instead, faster and more exact."


def sampling_products(sampler: Products, dtype: Dtype) -> Products:
    """How a training in `dtype` really samples where `sampler` is asked for."""
    return "same" if _why_not(sampler, dtype) else sampler


def sampler_substitution(sampler: Products, dtype: Dtype) -> str:
    """A sentence for the user where answers are sampled as is learned, though `sampler` is asked for; empty
    where they aren't, or nothing else is asked for."""
    why = _why_not(sampler, dtype)
    return (
        f"compute.sampler: int8 isn't used: {why}; answers are sampled as is learned."
        if why
        else ""
    )


def _why_not(sampler: Products, dtype: Dtype) -> str:
    if sampler == "same":
        return ""
    precision = computed_in(dtype)
    return why_not_int8(devices.device()) or (
        "" if precision == "float32" else f"it samples for float32, and dtype is {precision}"
    )


def torch_dtype(dtype: Dtype) -> torch.dtype:
    """PyTorch's name for `computed_in(dtype)`."""
    return _TORCH[computed_in(dtype)]


def exact_float32() -> None:
    """Keeps float32 what it is on a card, whose TF32 has 10 bits of 23, unless the user has asked for that
    with `torch.set_float32_matmul_precision`. By itself PyTorch does so for products, not for
    convolutions.
    """
    if torch.get_float32_matmul_precision() == "highest":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
