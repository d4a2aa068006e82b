"""Folders whose weights are cut into shards, and weights that aren't config.json's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import FAMILIES, plain, saved, tokenizer
from truing.candidates import _copy_weights
from truing.models import room
from truing.models.language_model import LanguageModel
from truing.models.loading import read_weights
from truing.models.room import check_room
from truing.models.user_cache import weights_hash
from truing.models.weights import catalogue
from truing.models.weights.folders import check_folder
from truing.models.weights.resolving import resolve_model
from truing.models.weights.tensors import INDEX, stored_numbers, weight_files
from truing.progress import SilentProgress
from truing.recipes.fits import what_fits
from truing.types import InputError

SIZE = "20KB"


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))


def sharded(folder: Path, family: str = "llama") -> Path:
    plain(family).save_pretrained(folder, max_shard_size=SIZE)
    tokenizer(chat=True).save_pretrained(folder)
    assert len(weight_files(folder)) > 2 and (folder / INDEX).is_file()
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_are_loaded_linked_and_hashed_as_one_model(family: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model", family)
    check_folder(folder)
    model = plain(family)
    read = read_weights(folder, "float32")
    for (name, found), expected in zip(read.named_parameters(), model.parameters(), strict=True):
        assert torch.equal(found, expected), name
    assert stored_numbers(folder) == sum(p.numel() for p in model.parameters())
    (tmp_path / "copy").mkdir()
    _copy_weights(folder, tmp_path / "copy", link=True)
    hashes = [weights_hash(each, SilentProgress()) for each in (folder, tmp_path / "copy")]
    assert hashes[0] == hashes[1]
    tokenizer().save_pretrained(tmp_path / "copy")
    check_folder(tmp_path / "copy")


def shard_gone(folder: Path) -> str:
    gone = weight_files(folder)[1]
    gone.unlink()
    return f"{folder}: {gone.name} is missing, which {INDEX} names"


def shard_torn(folder: Path) -> str:
    torn = weight_files(folder)[1]
    torn.write_bytes(torn.read_bytes()[:-8])
    return f"{torn}: not a whole safetensors file"


def shard_elsewhere(folder: Path) -> str:
    index = json.loads((folder / INDEX).read_text())
    name = next(iter(index["weight_map"]))
    index["weight_map"][name] = "../weights.safetensors"
    (folder / INDEX).write_text(json.dumps(index))
    return f"{folder / INDEX}: weight_map: '../weights.safetensors' isn't the name of a file"


def configured(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def narrower(folder: Path) -> str:
    configured(folder, intermediate_size=40)
    return "mlp.down_proj.weight has the shape [32, 48], by "


def other_vocabulary(folder: Path) -> str:
    configured(folder, vocab_size=99)
    return "by " + str(folder / "config.json") + " it is [99, 32]"


def a_layer_more(folder: Path) -> str:
    configured(folder, num_hidden_layers=3)
    return f"{folder}: its weights lack model.layers.2."


def a_layer_fewer(folder: Path) -> str:
    configured(folder, num_hidden_layers=1)
    return "is nothing that " + str(folder / "config.json") + " asks for"


def quantised(folder: Path) -> str:
    configured(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    return f"{folder / 'config.json'}: quantization_config: weights quantised by 'gptq' aren't supported"


def stored_as(dtype: torch.dtype, name: str) -> Callable[[Path], str]:
    """Quantised, though config.json says nothing of it."""

    def spoil(folder: Path) -> str:
        path = weight_files(folder)[0]
        save_file({key: each.to(dtype) for key, each in load_file(path).items()}, path)
        return f"is stored as {name}, and quantised weights aren't supported"

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        *(shard_gone, shard_torn, shard_elsewhere, narrower, other_vocabulary),
        *(a_layer_more, a_layer_fewer, quantised),
        *(stored_as(torch.int8, "I8"), stored_as(torch.float8_e4m3fn, "F8_E4M3")),
    ],
)
def test_what_is_wrong_with_a_folder_is_seen_before_it_is_loaded(
    spoil: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = sharded(tmp_path / "model")
    message = spoil(folder)
    with pytest.raises(InputError) as refusal:
        check_folder(folder)
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_weight_that_is_missing_is_never_drawn_at_random(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"its weights lack model.norm.weight"):
        read_weights(folder, "float32")


@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 5},
        {"num_attention_heads": 0},
        {"num_hidden_layers": "two"},
        {"hidden_size": -32},
        {"model_type": "unheard_of"},
    ],
)
def test_sizes_that_no_model_can_have_are_refused_as_such(
    changes: dict[str, object], tmp_path: Path
) -> None:
    folder = saved(tmp_path)
    configured(folder, **changes)
    with pytest.raises(InputError) as refusal:
        resolve_model(str(folder))
        read_weights(folder, "float32")
    assert str(folder) in str(refusal.value) and "\n" not in str(refusal.value)
    with pytest.raises(InputError):
        what_fits(str(folder))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        InputError, match=rf"model: {folder}: .* with NaN, so its weights are damaged"
    ):
        LanguageModel.load(folder)


# --- Room for them -----------------------------------------------------------------------------


def test_a_model_larger_than_what_is_free_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path)
    model = LanguageModel(read_weights(folder, "float32"), tokenizer())
    weights = sum(parameter.nbytes for parameter in model.model.parameters())
    assert stored_numbers(folder) * 4 == weights
    for free, fits in ((2 * weights, True), (weights, False)):
        monkeypatch.setattr(room, "available_bytes", lambda device, free=free: free)
        if fits:
            read_weights(folder, "float32")
            continue
        with pytest.raises(InputError) as refusal:
            read_weights(folder, "float32")
        assert f"{folder} doesn't fit: 0.0 GB of weights in float32" in str(refusal.value)
        assert "free on cpu" in str(refusal.value) and "\n" not in str(refusal.value)
    with pytest.MonkeyPatch.context() as patch:  # nor are gigabytes hashed for nothing
        patch.setattr(catalogue, "weights_hash", lambda *given: pytest.fail("hashed"))
        with pytest.raises(InputError, match=r"0.0 GB of weights in bfloat16 .* are more than"):
            monkeypatch.setattr(room, "available_bytes", lambda device: weights // 2)
            resolve_model(str(folder))
    # No copies are made on a card.
    monkeypatch.setattr(room, "available_bytes", lambda device: weights)
    check_room(folder, torch.float32, torch.device("cuda"))
