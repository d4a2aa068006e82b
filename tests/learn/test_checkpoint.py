"""Training killed at any step and taken up again, against training left alone."""

from __future__ import annotations

import contextlib
import json
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from forked import processes
from tabular import PREFIXES, TOKENS, TabularPolicy, draw, trajectories
from tiny import texts, tiny
from training_worker import STEPS as TRAINING_STEPS
from training_worker import run, run_in_child
from truing.learn import Objective
from truing.learn.best_checkpoint import BestCheckpoint
from truing.learn.checkpoint import Checkpoint
from truing.learn.loop import LogRow, Settings, train
from truing.learn.objectives.baselines import MovingAverage
from truing.learn.objectives.kl import KL
from truing.learn.objectives.reinforce import Reinforce
from truing.learn.objectives.supervised import Supervised
from truing.learn.sources.demonstrations import Demonstrations
from truing.policies.language import LanguagePolicy, PromptCompletion
from truing.policies.trajectories import Trajectories
from truing.spec.run import AdapterSpec
from truing.types import InputError

STEPS = 7
SETTINGS = Settings(STEPS, 0.1, 1.0, warmup=2)
START = torch.randn(PREFIXES, TOKENS, generator=torch.Generator().manual_seed(0))


class _Killed(BaseException):
    """What no code of ours catches."""


class _Samples:
    """The policy's own samples, a function of the step and the parameters."""

    def __init__(self, policy: TabularPolicy) -> None:
        self.policy = policy

    def batch(self, step: int) -> tuple[Trajectories, LogRow]:
        logits = self.policy.logits.detach()
        tokens = draw(logits, 12, torch.Generator().manual_seed(step))
        group = torch.arange(3).repeat_interleave(4)
        reward = tokens.float().sum(1)
        return trajectories(logits, START, tokens, reward, group), {"reward": float(reward.mean())}


def _checkpoint(folder: Path, every: int = 3) -> Checkpoint:
    return Checkpoint(folder / "state", folder / "logs" / "log.jsonl", every)


def _train(
    folder: Path,
    after_step: Callable[[int, LogRow], bool] = lambda step, row: True,
    every: int = 3,
) -> tuple[Tensor, Checkpoint]:
    policy, checkpoint = TabularPolicy(START), _checkpoint(folder, every)
    train(policy, _Samples(policy), Reinforce(kl=KL(0.2)), SETTINGS, checkpoint, after_step)
    return policy.logits.detach().clone(), checkpoint


def _log(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "logs" / "log.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _kill_at(fatal: int) -> Callable[[int, LogRow], bool]:
    def after_step(step: int, row: LogRow) -> bool:
        if step == fatal:
            raise _Killed
        return True

    return after_step


@pytest.mark.parametrize("fatal", range(1, STEPS + 1))
@pytest.mark.parametrize("every", [1, 3])
def test_killed_and_resumed_equals_left_alone(tmp_path: Path, fatal: int, every: int) -> None:
    whole, _ = _train(tmp_path / "whole", every=every)
    with pytest.raises(_Killed):
        _train(tmp_path / "cut", _kill_at(fatal), every)
    steps: list[int] = []
    resumed, checkpoint = _train(
        tmp_path / "cut", lambda step, row: steps.append(step) is None, every
    )
    saved = (fatal - 1) // every * every
    assert steps == list(range(saved + 1, STEPS + 1))  # goes on, doesn't begin again
    assert checkpoint.restored_rows == saved
    assert torch.equal(resumed, whole) and not torch.equal(whole, START)
    assert _log(tmp_path / "cut") == _log(tmp_path / "whole")
    assert [row["step"] for row in _log(tmp_path / "cut")] == list(range(1, STEPS + 1))
    assert torch.equal(checkpoint.parameters()["logits"], whole)
    assert not list(tmp_path.rglob("*.tmp"))


def test_killed_again_and_again(tmp_path: Path) -> None:
    whole, _ = _train(tmp_path / "whole", every=2)
    for fatal in (3, 4, 6, 7):
        with pytest.raises(_Killed):
            _train(tmp_path / "cut", _kill_at(fatal), every=2)
    resumed, _ = _train(tmp_path / "cut", every=2)
    assert torch.equal(resumed, whole)
    assert _log(tmp_path / "cut") == _log(tmp_path / "whole")


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    whole, _ = _train(tmp_path)
    before = (tmp_path / "state" / "state.safetensors").read_bytes()
    again, _ = _train(tmp_path, _kill_at(1))
    assert torch.equal(again, whole)
    assert (tmp_path / "state" / "state.safetensors").read_bytes() == before


def test_stopping_early_saves_that_step(tmp_path: Path) -> None:
    stopped, checkpoint = _train(tmp_path, lambda step, row: step < 5)
    assert [row["step"] for row in _log(tmp_path)] == [1, 2, 3, 4, 5]
    assert torch.equal(checkpoint.parameters()["logits"], stopped)


@pytest.mark.parametrize("kept", [0, 5, 8, 100, -1])
def test_a_torn_state_file_starts_anew(tmp_path: Path, kept: int) -> None:
    whole, _ = _train(tmp_path / "whole")
    with pytest.raises(_Killed):
        _train(tmp_path / "torn", _kill_at(5))
    file = tmp_path / "torn" / "state" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    resumed, checkpoint = _train(tmp_path / "torn")
    assert checkpoint.restored_rows == 0
    assert torch.equal(resumed, whole)
    assert _log(tmp_path / "torn") == _log(tmp_path / "whole")


def test_a_failed_save_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = _train(tmp_path / "whole")

    def full_disk(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        if metadata["step"] == "6":
            path.write_bytes(b"half")
            raise OSError("no space left")
        save_file(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr("truing.models.tensor_files.save_file", full_disk)
        with pytest.raises(OSError, match="no space"):
            _train(tmp_path / "cut")
    assert [row["step"] for row in _log(tmp_path / "cut")] == [1, 2, 3]
    assert not list(tmp_path.rglob("*.tmp"))
    resumed, checkpoint = _train(tmp_path / "cut")
    assert checkpoint.restored_rows == 3
    assert torch.equal(resumed, whole)


def test_annotations_reach_the_readable_log(tmp_path: Path) -> None:
    _, checkpoint = _train(tmp_path)
    checkpoint.annotate(4, judged=0.5)
    assert [row.get("judged") for row in _log(tmp_path)] == [
        None,
        None,
        None,
        0.5,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_language_model_resumes_bit_for_bit(tmp_path: Path, kind: str) -> None:
    actions = [PromptCompletion(tuple(t[:4]), tuple(t[4:])) for t in texts(1, [8, 6, 9, 5, 7])]

    def run(folder: Path, after_step: Callable[[int, LogRow], bool]) -> dict[str, Tensor]:
        model = tiny()
        policy = LanguagePolicy(model, model, AdapterSpec(kind=kind, rank=2), "float32", seed=1)
        source = Demonstrations(actions, batch_size=2, seed=0)
        settings = Settings(6, 0.01, 1.0)
        train(policy, source, Supervised(), settings, _checkpoint(folder, 2), after_step)
        return {name: p.detach().clone() for name, p in policy.parameters.items()}

    whole = run(tmp_path / "whole", lambda step, row: True)
    with pytest.raises(_Killed):
        run(tmp_path / "cut", _kill_at(4))
    resumed = run(tmp_path / "cut", lambda step, row: True)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert _log(tmp_path / "cut") == _log(tmp_path / "whole")
    assert _log(tmp_path / "whole")[-1]["loss"] < _log(tmp_path / "whole")[0]["loss"]


@pytest.mark.parametrize(
    "what",
    [
        *("grid-reinforce", "grid-ppo", "grid-corrected"),
        *("text-sft", "text-kto", "text-rl", "text-ppo", "text-int8"),
    ],
)
def test_sigkill_at_random_moments_changes_nothing(tmp_path: Path, what: str) -> None:
    """A process of its own, killed by the system at random moments, five times."""
    context = processes()
    wanted = run(what, tmp_path / "whole")
    chance = random.Random(what)
    killed, last = 0, 0
    for _ in range(5):
        ours, theirs = context.Pipe(duplex=False)
        # So soon that it gets there before the training is over, five times.
        fatal = min(chance.randrange(last + 1, last + 3), TRAINING_STEPS)
        after = chance.uniform(0, 0.01)  # somewhere in the next step, or in the middle of a save
        child = context.Process(
            target=run_in_child, args=(what, tmp_path / "cut", theirs, fatal, after)
        )
        child.start()
        theirs.close()
        with contextlib.suppress(EOFError):
            while True:
                last = ours.recv()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
    assert killed >= 3
    found = run(what, tmp_path / "cut")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    logs = [(tmp_path / which / "log.jsonl").read_bytes() for which in ("whole", "cut")]
    assert logs[0] == logs[1] and logs[0].count(b"\n") == TRAINING_STEPS
    saved = [
        load_file(tmp_path / which / "state" / "state.safetensors") for which in ("whole", "cut")
    ]
    assert saved[0].keys() == saved[1].keys()  # moments, and what the objective learned, as well
    assert all(torch.equal(value, saved[1][name]) for name, value in saved[0].items())


def _saved(folder: Path, objective: Objective | None = None, identity: str = "") -> Checkpoint:
    policy = TabularPolicy(START)
    checkpoint = Checkpoint(folder / "state", folder / "log.jsonl", identity=identity)
    settings = Settings(2, 0.1, 1.0)
    train(policy, _Samples(policy), objective or Reinforce(), settings, checkpoint)
    return checkpoint


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    file = _saved(tmp_path, identity="spec-a").file
    before = file.read_bytes()

    def resume(parameters: dict[str, nn.Parameter], identity: str, objective: Objective) -> None:
        kept = {name: value.detach().clone() for name, value in parameters.items()}
        checkpoint = Checkpoint(tmp_path / "state", tmp_path / "log.jsonl", identity=identity)
        try:
            checkpoint.restore(parameters, torch.optim.AdamW(parameters.values()), objective)
        finally:
            assert all(torch.equal(value, parameters[name]) for name, value in kept.items())
            assert file.read_bytes() == before

    logits = nn.Parameter(torch.zeros(START.shape))
    with pytest.raises(InputError, match=r"another spec \(spec-a, this one is spec-b\)"):
        resume({"logits": logits}, "spec-b", Reinforce())
    with pytest.raises(InputError, match="another spec"):
        resume({"logits": logits}, "", Reinforce())
    with pytest.raises(InputError, match=r"'parameter/logits' has the shape .* there and of none"):
        resume({"other": logits}, "spec-a", Reinforce())
    with pytest.raises(InputError, match=r"'parameter/more' has the shape of none there"):
        resume({"logits": logits, "more": nn.Parameter(torch.zeros(1))}, "spec-a", Reinforce())
    with pytest.raises(InputError, match=r"shape \(21, 4\) there and \(3, 4\) in this training"):
        resume({"logits": nn.Parameter(torch.zeros(3, 4))}, "spec-a", Reinforce())
    with pytest.raises(InputError, match="'objective/total' has the shape of none there"):
        resume({"logits": logits}, "spec-a", Reinforce(baseline=MovingAverage()))
    save_file({"parameter/logits": START}, file)
    before = file.read_bytes()
    with pytest.raises(InputError, match="not a checkpoint of this program"):
        resume({"logits": logits}, "spec-a", Reinforce())


def test_what_the_objective_learned_comes_back(tmp_path: Path) -> None:
    learned = MovingAverage(rate=0.5)
    _saved(tmp_path, Reinforce(baseline=learned))
    fresh = MovingAverage(rate=0.5)
    _saved(tmp_path, Reinforce(baseline=fresh))
    assert learned.value != 0 and fresh.value == learned.value


def test_a_rule_that_stops_is_remembered(tmp_path: Path) -> None:
    def run_with(limit: int) -> list[dict[str, Any]]:
        policy, checkpoint = TabularPolicy(START), _checkpoint(tmp_path)

        def stop(rows: Sequence[Mapping[str, Any]]) -> str:
            return f"{limit} steps are enough" if len(rows) == limit else ""

        train(policy, _Samples(policy), Reinforce(), SETTINGS, checkpoint, stop=(stop,))
        assert checkpoint.stop == "4 steps are enough"
        return _log(tmp_path)

    first = run_with(4)
    assert [row["step"] for row in first] == [1, 2, 3, 4]
    assert [row.get("stop") for row in first] == [None, None, None, "4 steps are enough"]
    assert run_with(6) == first  # taken up again, it doesn't go on


def test_times_stand_beside_the_log(tmp_path: Path) -> None:
    _train(tmp_path)
    times = [
        json.loads(line)
        for line in (tmp_path / "logs" / "log.times.jsonl").read_text().splitlines()
    ]
    assert [row["step"] for row in times] == list(range(1, STEPS + 1))
    assert all(row["seconds"] > 0 and row["tokens_per_second"] > 0 for row in times)
    assert not {"seconds", "tokens_per_second"} & set(_log(tmp_path)[0])


def test_the_snapshot_keeps_the_best(tmp_path: Path) -> None:
    file = tmp_path / "best" / "best.safetensors"
    parameters = {"a": nn.Parameter(torch.zeros(2)), "b": nn.Parameter(torch.zeros(1, 3))}
    assert BestCheckpoint(file).restore(parameters) == 0
    for step, score in enumerate([None, -2.0, 0.25, None, 0.25, 0.1], start=1):
        with torch.no_grad():
            for parameter in parameters.values():
                parameter.fill_(step)
        # A new one each time, as after a restart.
        BestCheckpoint(file).offer(step, score, parameters)
        if step == 1:
            assert not file.exists()
    assert BestCheckpoint(file).restore(parameters) == 3  # of two equals the earlier
    assert parameters["a"].tolist() == [3.0, 3.0]
    assert parameters["b"].tolist() == [[3.0, 3.0, 3.0]]
