"""Two processes that train together, against one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from launching import launched, refused_once, spec_file
from launching import together as together_in
from tiny import saved
from training_worker import made, run
from truing import Spec, align
from truing.policies.sampler import SamplerGone
from truing.progress import SilentProgress
from truing.recipes.train import train, train_one
from truing.runs.ranks import Ranks
from truing.spec.reading import make_spec, read_mapping
from truing.types import InputError

TRAININGS = (
    *("grid-ppo", "grid-corrected", "text-sft", "text-dpo", "text-kto", "text-rl", "text-ppo"),
    "text-corrected",
)


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    together_in(TRAININGS, folder, 2)
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
    monkeypatch.setattr("truing.runs.ranks.gather_object", gathered)
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
        return [([1], "", 0), *given] if not given[0][1] else given

    monkeypatch.setattr("truing.runs.ranks.gather_object", gathered)

    def wrong(rows: Sequence[int]) -> list[int]:
        raise InputError("reward: gave inf")

    with pytest.raises(InputError, match="reward: gave inf"):
        Ranks().shared_out([1, 2], wrong)
    assert told == [(None, "reward: gave inf", 2)]  # the others hear of it
    assert Ranks().shared_out([7], list) == [1]  # fewer rows than processes

    def nobody(rows: Sequence[int]) -> list[int]:
        raise SamplerGone("no server is left")  # not the user's mistake

    with pytest.raises(InputError, match="no server is left") as gone:
        Ranks().shared_out([1, 2], nobody)
    assert gone.value.exit_code == 1


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


# --- The command ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


def test_the_command_trains_with_two_processes_as_with_one(tmp_path: Path, model: Path) -> None:
    spec = spec_file(tmp_path, model)
    (first, out, messages), (second, silent, others) = launched(spec, tmp_path / "two")
    assert (first, second) == (0, 0), messages + others
    found = json.loads(out)
    assert silent == "" and "Reinforcement" in messages and "Reinforcement" not in others
    alone = make_spec(read_mapping(spec))
    wanted = train_one(alone, "rl", tmp_path / "one", progress=SilentProgress()).document
    assert found["reward_model"] == wanted["reward_model"]
    for name in ("sft", "rl"):
        ours, theirs = (
            load_file(tmp_path / run / "candidates" / name / "adapter_model.safetensors")
            for run in ("two", "one")
        )
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, atol=1e-5, rtol=0)
    assert _files(tmp_path / "two") == _files(tmp_path / "one")
    again = launched(spec, tmp_path / "two")  # finished: only read
    assert [code for code, *_ in again] == [0, 0]
    assert json.loads(again[0][1]) == found


def _files(run: Path) -> set[str]:
    """Every file of a run; names of events end in a time."""
    return {
        str(p.relative_to(run)).partition(".tfevents")[0] for p in run.rglob("*") if p.is_file()
    }


def test_a_refusal_of_the_first_process_ends_all(tmp_path: Path, model: Path) -> None:
    spec, out = spec_file(tmp_path, model), tmp_path / "run"
    out.mkdir()
    with FileLock(out / ".lock"):
        refused_once(launched(spec, out), "another process is working on this run")
    assert _files(out) <= {".lock"}
    spec.write_text("rl: {steps: 0}")
    refused_once(launched(spec, out), "rl.steps")


def test_a_refusal_of_another_process_ends_all(tmp_path: Path, model: Path) -> None:
    """Once before the first step and once in it, where the first is waiting for a share."""
    reward = {"parts": [{"name": f"{tmp_path}/mine.py:odd"}]}
    spec = spec_file(tmp_path, model, reward=reward)
    for number, condition in enumerate(("True", "'An answer.' not in answer")):
        (tmp_path / "mine.py").write_text(
            "import os\n"
            "def odd(prompt, answer):\n"
            f"    return 'much' if os.environ['RANK'] == '1' and {condition} else 1.0\n"
        )
        refused_once(launched(spec, tmp_path / f"run{number}"), "odd")


@pytest.mark.parametrize("kind", ["reward", "prompt", "judge"])
def test_what_one_process_does_is_refused_to_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=f"train {kind}: takes one process, but 2 were started"):
        train(Spec(), kind, tmp_path / "run")
    with pytest.raises(InputError, match="align: takes one process"):
        align(Spec(), tmp_path / "run")
