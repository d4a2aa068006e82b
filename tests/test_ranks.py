"""Two processes that train together, against one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from training_worker import STEPS, made, run
from truing.learn.ranks import Ranks
from truing.types import InputError

TRAININGS = ("grid-ppo", "text-sft", "text-rl", "text-ppo")
WORKER = Path(__file__).parent / "training_worker.py"


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _together(whats: Sequence[str], folder: Path, count: int) -> None:
    """What `accelerate launch --cpu --num_processes COUNT` sets, and no more."""
    port = str(_free_port())
    started = []
    for rank in range(count):
        environment = os.environ | {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(count),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "ACCELERATE_USE_CPU": "true",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(WORKER), str(folder), *whats]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    for process in started:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert out.splitlines() == [f"step {n}" for _ in whats for n in range(1, STEPS + 1)]


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    _together(TRAININGS, folder, 2)
    return folder


@pytest.mark.parametrize("what", TRAININGS)
def test_two_ranks_are_one(tmp_path: Path, what: str, together: Path) -> None:
    wanted = run(what, tmp_path)
    found = load_file(together / what / "state" / "state.safetensors")
    for name, parameter in wanted.items():
        torch.testing.assert_close(
            found[f"parameter/{name}"], parameter.detach(), atol=1e-5, rtol=0
        )
    for one, two in zip(_rows(tmp_path), _rows(together / what), strict=True):
        assert one.keys() == two.keys()
        for key, value in one.items():
            if key == "samples":
                assert _answers(two) == _answers(one)
            else:
                assert two[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


def _answers(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(sample["prompt"], sample["answer"]) for sample in row["samples"]]


def test_sampling_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three prompts on two ranks: each samples its own, and together they are what one samples."""
    _, source, *_ = made("text-rl")
    whole, row = source.batch(4)
    parts = []

    def gathered(given: list[Any]) -> list[Any]:
        parts.extend(given)
        return parts

    monkeypatch.setattr(Ranks, "count", 2)
    monkeypatch.setattr("truing.learn.ranks.gather_object", gathered)
    for index in (0, 1):
        monkeypatch.setattr(Ranks, "index", index)
        found, its_row = source.batch(4)  # the second sees both parts
        assert len(found) == 4 if index == 0 else 12
    assert found.data == whole.data and torch.equal(found.mask_BT, whole.mask_BT)
    assert found.group_B.tolist() == whole.group_B.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for name in ("log_prob_BT", "reference_log_prob_BT", "reward_BT"):
        torch.testing.assert_close(
            getattr(found, name), getattr(whole, name), atol=1e-5, rtol=0, equal_nan=True
        )
    assert its_row.keys() == row.keys()
    assert its_row["entropy"] == pytest.approx(row["entropy"], abs=1e-6)
    assert its_row["reward"] == pytest.approx(row["reward"])
    assert _answers(its_row) == _answers(row)


def test_a_mistake_on_one_rank_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "count", 2)
    told: list[Any] = []

    def gathered(given: list[Any]) -> list[Any]:
        told.extend(given)
        return [([1], ""), *given] if not given[0][1] else given

    monkeypatch.setattr("truing.learn.ranks.gather_object", gathered)

    def wrong(rows: Sequence[int]) -> list[int]:
        raise InputError("reward: gave inf")

    with pytest.raises(InputError, match="reward: gave inf"):
        Ranks().shared_out([1, 2], wrong)
    assert told == [([], "reward: gave inf")]  # the others hear of it
    assert Ranks().shared_out([7], list) == [1]  # fewer rows than processes


def test_one_process_needs_no_others() -> None:
    ranks = Ranks()
    assert (ranks.count, ranks.index) == (1, 0)
    assert list(ranks.share(range(7))) == list(range(7))
    assert ranks.sum_figures({"a": 1.5}) == {"a": 1.5}
    ranks.wait()


@pytest.mark.parametrize("rows", [0, 1, 7, 8])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_shares_are_the_whole(monkeypatch: pytest.MonkeyPatch, rows: int, count: int) -> None:
    monkeypatch.setattr(Ranks, "count", count)
    seen: list[int] = []
    for index in range(count):
        monkeypatch.setattr(Ranks, "index", index)
        share = list(Ranks().share(range(rows)))
        assert abs(len(share) - rows / count) < 1
        seen += share
    assert seen == list(range(rows))
