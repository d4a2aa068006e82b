"""TensorBoard's event files against its own reader, where that is installed, and against the format."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import torch
from torch import nn

from truing.learn import Reinforce, events
from truing.learn.checkpoint import Checkpoint
from truing.learn.events import EventFile, scalars
from truing.learn.tracking import Training
from truing.learn.tracking.tensorboard import TensorBoard
from truing.learn.tracking.tracking import Tracking

ROWS = [
    {"step": 1, "loss": -0.25, "seconds": 3, "stop": "", "monitor": {"n": 2, "true": None}},
    {"step": 300, "loss": 1e10, "reward": float("nan"), "samples": [1], "chosen": True},
]
WANTED = {(1, "loss"): -0.25, (1, "seconds"): 3.0, (1, "monitor/n"): 2.0, (300, "loss"): 1e10}


def _records(path: Path) -> list[bytes]:
    """Events of a file by the format's description; both checksums must be right."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = data[12 : 12 + length]
        assert data[8:12] == events._masked_crc(data[:8])
        assert data[12 + length : 16 + length] == events._masked_crc(event)
        found.append(event)
        data = data[16 + length :]
    return found


def _read(path: Path) -> dict[tuple[int, str], float]:
    """Scalars by TensorBoard's own reader."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    return {
        (event.step, value.tag): value.tensor.float_val[0]
        for event in loader.EventFileLoader(str(path)).Load()
        if event.HasField("summary")
        for value in event.summary.value
    }


def test_the_checksum_is_crc_32c() -> None:
    # RFC 3720, appendix B.4; the mask is TFRecord's.
    for data, crc in ((b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"", 0)):
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        assert events._masked_crc(data) == struct.pack("<I", masked)


def test_every_finite_number_is_a_scalar() -> None:
    assert dict(scalars(ROWS[0])) == {"loss": -0.25, "seconds": 3.0, "monitor/n": 2.0}
    assert dict(scalars(ROWS[1])) == {"loss": 1e10}


def test_the_bytes_follow_the_format(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.add({"step": 300, "loss": 0.5})
    version, event = _records(file.path)
    assert version[9:] == b"\x1a\x0dbrain.Event:2"
    value = b"\x0a\x04loss\x15" + struct.pack("<f", 0.5)
    inner = b"\x0a" + bytes([len(value)]) + value
    assert event[9:] == b"\x10\xac\x02\x2a" + bytes([len(inner)]) + inner
    assert event[0] == 0x09 and struct.unpack("<d", event[1:9])[0] > 1.7e9


def test_tensorboard_reads_them(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    for row in ROWS:
        file.add(row)
    assert _read(file.path) == pytest.approx(WANTED)


def _tensorboard(folder: Path) -> Tracking:
    training = Training("id", "rl", "run", "project", folder, {})
    return Tracking(training, {"tensorboard": TensorBoard()})


def test_a_training_taken_up_again_has_each_step_once(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "s", tmp_path / "log.jsonl", tracking=_tensorboard(tmp_path))
    for step in (1, 2, 3):
        checkpoint.note({"step": step, "loss": 1.0 / step, "seconds": 0.5})
    (before,) = (tmp_path / "tensorboard" / "rl").iterdir()
    assert len(_records(before)) == 4
    parameters = {"logits": nn.Parameter(torch.zeros(3, 2))}
    optimizer = torch.optim.AdamW(parameters.values())
    checkpoint.save(3, parameters, optimizer, Reinforce())
    checkpoint.note({"step": 4, "loss": 0.0})  # lost: killed before the next save
    again = Checkpoint(tmp_path / "s", tmp_path / "log.jsonl", tracking=_tensorboard(tmp_path))
    assert again.restore(parameters, optimizer, Reinforce()) == 3
    again.note({"step": 4, "loss": 9.0, "seconds": 0.25})
    (after,) = (tmp_path / "tensorboard" / "rl").iterdir()
    found = _read(after)
    assert found == pytest.approx(
        {
            **{(step, "loss"): 1.0 / step for step in (1, 2, 3)},
            **{(step, "seconds"): 0.5 for step in (1, 2, 3)},
            (4, "loss"): 9.0,
            (4, "seconds"): 0.25,
        }
    )
