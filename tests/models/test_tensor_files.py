"""Safetensors files: the same content is the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from pretend_card import CARD
from truing.models.tensor_files import write_tensors_atomically

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1, 2])}
METADATA = {
    "step": "3", "log": '[{"said": "a \\"b\\"\\n\u00e9 \u2028 \U0001f600"}]', "identity": "",
    "times": "\x01", "e": "5", "f": "6",
}  # fmt: skip


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    def written(metadata: dict[str, str], tensors: Mapping[str, Any] = TENSORS) -> bytes:
        file = tmp_path / "x.safetensors"
        write_tensors_atomically(file, tensors, metadata)
        return file.read_bytes()

    backwards = dict(reversed(METADATA.items()))
    assert len({written(given) for given in (METADATA, backwards) * 10}) == 1
    with safe_open(tmp_path / "x.safetensors", framework="pt") as stored:
        assert stored.metadata() == METADATA
        assert all(torch.equal(stored.get_tensor(name), TENSORS[name]) for name in TENSORS)
    arrays = {name: tensor.numpy() for name, tensor in TENSORS.items()}
    transposed = {**TENSORS, "b": TENSORS["b"].T.contiguous().T}  # not in the order of its rows
    assert written(METADATA, arrays) == written(METADATA, transposed) == written(METADATA)


def test_tensors_of_a_card_are_written_as_those_of_the_processor(tmp_path: Path) -> None:
    for name, device in (("here", "cpu"), ("there", CARD)):
        tensors = {key: tensor.to(device) for key, tensor in TENSORS.items()}
        write_tensors_atomically(tmp_path / name, tensors, METADATA)
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.safetensors"
    write_tensors_atomically(file, TENSORS, METADATA)
    before = file.read_bytes()

    def failing(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("full")

    monkeypatch.setattr("truing.models.tensor_files.save_file", failing)
    with pytest.raises(OSError, match="full"):
        write_tensors_atomically(file, TENSORS, METADATA)
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [file.name]
