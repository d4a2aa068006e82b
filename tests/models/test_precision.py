"""Where a processor is slow in bfloat16, float32 stands in for it, everywhere alike."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tiny import tiny
from truing.models import precision
from truing.models.language_model import LanguageModel
from truing.policies.language import LanguagePolicy
from truing.spec.run import AdapterSpec


@pytest.mark.parametrize(("fast", "kept"), [(True, "bfloat16"), (False, "float32")])
def test_one_answer_for_loading_training_and_the_store(
    fast: bool, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: fast)
    model = tiny(chat=True)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    loaded = LanguageModel.load(tmp_path, "bfloat16")
    policy = LanguagePolicy(loaded, loaded, AdapterSpec(rank=2), "bfloat16", seed=0)

    assert precision.computed_in("bfloat16") == kept
    assert str(loaded.model.dtype) == str(policy.trained.dtype) == f"torch.{kept}"
    with policy.autocast():
        assert torch.is_autocast_enabled("cpu") == fast
    assert (precision.substitution("bfloat16") == "") == fast


def test_float32_is_always_float32() -> None:
    assert precision.computed_in("float32") == "float32"
    assert precision.torch_dtype("float32") == torch.float32
    assert precision.substitution("float32") == ""


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Asks anew, with products that take so many seconds on a clock of the test's own; the products."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path))
    now = [0.0]
    monkeypatch.setattr(precision.time, "perf_counter", lambda: now[0])

    def asked(*, wanted: bool, **seconds: list[float]) -> int:
        turns: list[str] = []

        def product(dtype: str) -> Callable[[], None]:
            def multiply() -> None:
                now[0] += seconds[dtype][turns.count(dtype)]
                turns.append(dtype)

            return multiply

        monkeypatch.setattr(precision, "_product", product)
        precision.has_fast_bfloat16.cache_clear()
        assert precision.has_fast_bfloat16() == wanted
        precision.has_fast_bfloat16.cache_clear()
        return len(turns)

    return asked


def test_the_faster_precision_is_found_by_timing_and_kept(
    timed: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbed = [9.0, 9.0, 1.0, 9.0, 9.0]  # the best turn counts, not the mean
    assert timed(wanted=True, float32=[2.0] * 5, bfloat16=disturbed) == 10
    assert timed(wanted=True, float32=[0.0] * 5, bfloat16=[9.0] * 5) == 0, "read, not measured"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    assert timed(wanted=False, float32=[2.0] * 5, bfloat16=[2.5] * 5) == 10
    (tmp_path / "precision.json").write_text("[broken")
    assert timed(wanted=True, float32=[1.0] * 5, bfloat16=[1.0] * 5) == 10


def test_without_a_cache_it_is_measured(timed: Callable[..., int], tmp_path: Path) -> None:
    (tmp_path / "precision.json").mkdir()
    for _ in range(2):
        assert timed(wanted=False, float32=[1.0] * 5, bfloat16=[2.0] * 5) == 10


def test_forbidden_instructions_are_another_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    precision.processor.cache_clear()
    usual = precision.processor()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    precision.processor.cache_clear()
    assert precision.processor() != usual
    precision.processor.cache_clear()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN limits x86 instructions alone")
def test_where_bfloat16_is_emulated_float32_is_used(tmp_path: Path) -> None:
    """oneDNN without the instructions calls bfloat16 supported and is slow; nothing is faked here."""
    code = "from truing.models.precision import computed_in; print(computed_in('bfloat16'))"
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "TRUING_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | limits, capture_output=True, text=True
    )
    assert done.stdout.strip() == "float32", done.stderr


@pytest.mark.parametrize(("asked", "allowed"), [("highest", False), ("high", True)])
def test_float32_is_no_tf32_unless_that_is_asked_for(
    asked: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_float32_matmul_precision()
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    try:
        torch.set_float32_matmul_precision(asked)
        tiny()
        assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is allowed
    finally:
        torch.set_float32_matmul_precision(before)
