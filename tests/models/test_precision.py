"""Where a processor is slow in bfloat16, float32 stands in for it, everywhere alike."""

from __future__ import annotations

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
