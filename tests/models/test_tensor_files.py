"""Safetensors files: the same content is the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from truing.models.tensor_files import write_tensors_atomically

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1, 2])}
METADATA = {
    "step": "3", "log": '[{"said": "a \\"b\\"\\n\u00e9 \u2028 \U0001f600"}]', "identity": "",
    "times": "\x01", "e": "5", "f": "6",
}  # fmt: skip


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    def written(metadata: dict[str, str] | None) -> bytes:
        file = tmp_path / "x.safetensors"
        write_tensors_atomically(file, lambda path: save_file(TENSORS, path, metadata))
        return file.read_bytes()

    backwards = dict(reversed(METADATA.items()))
    assert len({written(given) for given in (METADATA, backwards) * 10}) == 1
    with safe_open(tmp_path / "x.safetensors", framework="pt") as stored:
        assert stored.metadata() == METADATA
        assert all(torch.equal(stored.get_tensor(name), TENSORS[name]) for name in TENSORS)
    written(None)
    with safe_open(tmp_path / "x.safetensors", framework="pt") as stored:
        assert torch.equal(stored.get_tensor("b"), TENSORS["b"])


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    write_tensors_atomically(file, lambda path: save_file(TENSORS, path, METADATA))
    before = file.read_bytes()

    def failing(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_tensors_atomically(file, failing)
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [file.name]
