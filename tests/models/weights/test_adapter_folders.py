"""peft adapters as candidates and as models to align: merged as peft merges them, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tiny import saved
from truing.candidates import open_candidate
from truing.evaluate.of_run import recorded_base
from truing.models import precision
from truing.models.pool import model_files
from truing.models.weights.adapter_folders import merge
from truing.models.weights.resolving import resolve_model
from truing.progress import SilentProgress
from truing.types import InputError


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An adapter with random weights as peft itself writes it, beside its base."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    base = saved(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base)
    wrapped = get_peft_model(
        model, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    )
    torch.manual_seed(3)
    for name, parameter in wrapped.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn_like(parameter)
    wrapped.save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


def change(folder: Path, **settings: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def merged_by_peft(adapter: Path) -> dict[str, torch.Tensor]:
    base = AutoModelForCausalLM.from_pretrained(adapter.parent / "base")
    merged = PeftModel.from_pretrained(base, adapter).merge_and_unload()
    return dict(merged.state_dict())


def test_an_adapter_is_a_candidate(adapter: Path) -> None:
    candidate, weights = open_candidate(str(adapter), 0, "float32")
    found = candidate.model.model.state_dict()
    for name, tensor in merged_by_peft(adapter).items():
        assert torch.equal(found[name], tensor), name
    assert candidate.name == "adapter" and candidate.prompt.id != ""
    assert weights != open_candidate(str(adapter.parent / "base"), 0, "float32")[1]
    base = recorded_base(adapter, "float32", 0, accept_licence=False)
    assert not torch.equal(
        base.model.model.model.layers[0].self_attn.q_proj.weight,
        candidate.model.model.model.layers[0].self_attn.q_proj.weight,
    )


def test_in_bfloat16_it_is_merged_in_float32_whatever_its_base_is_held_in(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_fast_bfloat16", lambda: True)
    base = adapter.parent / "base"
    AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).save_pretrained(base)
    held: list[torch.dtype] = []
    monkeypatch.setattr(
        model_files, "merge", lambda model, folder: held.append(model.dtype) or merge(model, folder)
    )
    found = open_candidate(str(adapter), 0, "bfloat16")[0].model.model.state_dict()
    assert held == [torch.bfloat16]
    exact = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    for name, tensor in merge(exact, adapter).state_dict().items():
        assert torch.equal(found[name], tensor.bfloat16()), name


def test_an_adapter_is_a_model_to_align(adapter: Path) -> None:
    change(adapter, base_model_name_or_path="../base")
    source = resolve_model(str(adapter), progress=SilentProgress())
    model = AutoModelForCausalLM.from_pretrained(source.folder)
    for name, tensor in merged_by_peft(adapter).items():
        assert torch.equal(model.state_dict()[name], tensor), name
    made = (source.folder / "config.json").stat().st_mtime_ns
    again = resolve_model(str(adapter), progress=SilentProgress())
    assert again == source and (again.folder / "config.json").stat().st_mtime_ns == made


def test_a_runs_candidate_is_a_model_without_its_prompt(
    adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own template would write its prompt in front of what is asked."""
    base = adapter.parent / "base"
    record = {"base": str(base), "prompt": {"instruction": "Be brief.", "shots": []}}
    (adapter / "candidate.json").write_text(json.dumps(record))
    (adapter / "chat_template.jinja").write_text("own template")
    source = resolve_model(str(adapter))
    assert "the task's instruction replaces it" in capsys.readouterr().err
    template = (source.folder / "chat_template.jinja").read_text()
    assert template == (base / "chat_template.jinja").read_text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_model_name_or_path": "no-such-model"}, "no-such-model: can't be had"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path: missing"),
        ({"peft_type": "PREFIX_TUNING"}, "'PREFIX_TUNING' can't be merged"),
    ],
)
def test_what_can_not_be_merged_is_named(
    adapter: Path, settings: dict[str, object], said: str
) -> None:
    change(adapter, **settings)
    for use in (
        lambda: open_candidate(str(adapter), 0, "float32"),
        lambda: resolve_model(str(adapter)),
    ):
        with pytest.raises(InputError, match=said):
            use()


def test_pickled_adapters_are_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(InputError, match=r"adapter_model\.bin: pickled weights can run code"):
        open_candidate(str(adapter), 0, "float32")


def test_an_adapter_of_another_model_does_not_fit(adapter: Path) -> None:
    settings = json.loads((adapter / "adapter_config.json").read_text())
    change(adapter, r=settings["r"] + 1)
    with pytest.raises(InputError, match="doesn't fit its base"):
        open_candidate(str(adapter), 0, "float32")
