"""Weights that two processes share out: the update of one, and checkpoints that go both ways."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from launching import together
from training_worker import made, numbers_held, run, saved_again
from truing.models.footprint import Footprint
from truing.policies.language import LanguagePolicy

TRAININGS = (
    *("text-sft-full", "text-sft-lora", "text-sft-gpt2", "text-dpo-full", "text-dpo-lora"),
    *("text-rl-full", "text-rl-lora"),
)
RESUMED = ("text-sft-full", "text-rl-lora")
"""Their checkpoints go from one process to two."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    for what in TRAININGS:
        run(what, folder / what)
    return folder


@pytest.fixture(scope="module")
def shared_out(alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by two, and what one has trained, restored and saved again by two."""
    folder = tmp_path_factory.mktemp("shared-out")
    for what in RESUMED:
        own = folder / "again" / f"sharded-{what}" / "state"
        own.mkdir(parents=True)
        (own / "state.safetensors").write_bytes(
            (alone / what / "state" / "state.safetensors").read_bytes()
        )
    again = [f"again:sharded-{what}" for what in RESUMED]
    together([f"sharded-{what}" for what in TRAININGS] + again, folder, 2)
    return folder


@pytest.mark.parametrize("what", TRAININGS)
def test_the_update_is_that_of_one_process(alone: Path, shared_out: Path, what: str) -> None:
    one, two = (
        load_file(folder / "state" / "state.safetensors")
        for folder in (alone / what, shared_out / f"sharded-{what}")
    )
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4, msg=name)
    rows = [
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (alone / what, shared_out / f"sharded-{what}")
    ]
    for first, second in zip(*rows, strict=True):
        for figure in ("loss", "gradient_norm"):
            assert second[figure] == pytest.approx(first[figure], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("what", TRAININGS)
def test_each_process_holds_half_of_the_layers(shared_out: Path, what: str) -> None:
    policy = made(what)[0]
    assert isinstance(policy, LanguagePolicy)
    whole, folder = numbers_held(policy), shared_out / f"sharded-{what}"
    held = [int((folder / f"held-{rank}").read_text()) for rank in (0, 1)]
    assert sum(held) == whole and max(held) <= 0.51 * whole
    if "lora" not in what:
        found = Footprint.of(policy.trained.model.config, torch.float32, processes=2)
        of_layers = [matrix for layer in found.shared_out() for matrix in layer]
        assert max(held) == sum(map(found.share, of_layers))


@pytest.mark.parametrize("what", RESUMED)
def test_a_checkpoint_goes_from_one_to_two_and_back(
    tmp_path: Path, alone: Path, shared_out: Path, what: str
) -> None:
    """Restored and saved again, it is what it was to the last bit."""
    of_two = shared_out / f"sharded-{what}" / "state" / "state.safetensors"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "state.safetensors").write_bytes(of_two.read_bytes())
    saved_again(what, tmp_path)
    assert (tmp_path / "again" / "state.safetensors").read_bytes() == of_two.read_bytes()
    of_one = alone / what / "state" / "state.safetensors"
    again = shared_out / "again" / f"sharded-{what}" / "again" / "state.safetensors"
    assert again.read_bytes() == of_one.read_bytes()
