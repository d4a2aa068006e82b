"""`truing train rl --workers`: the bytes of one process, whichever workers die, and what is refused."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner, Result

import certificates
from pooled import WorkerHere, one_thread, runs
from tiny import saved
from truing.cli.main import app
from truing.files import read_jsonl
from truing.learn import loop
from truing.learn.checkpoint import Checkpoint
from truing.models.pool import opening
from truing.models.pool import pool as pool_module
from truing.models.pool.messages import Message
from truing.models.pool.trust import certified, made_token
from truing.models.pool.worker import WorkerServer

PROMPTS = ["why is the sky blue?", "what is a fish?", "who are you?", "is it late?"]
STEPS = 4
RL = {
    "steps": STEPS, "prompts_per_step": 3, "samples_per_prompt": 2, "max_new_tokens": 5,
    "evaluate_every": 2, "adapter": {"rank": 2}, "max_kl": 1000.0, "learning_rate": 0.02,
}  # fmt: skip
Spec = dict[str, Any]
Left = tuple[bytes, list[dict[str, Any]]]


class _Listening(WorkerHere):
    """Notes the versions that it is sent."""

    def ask(self, request: Message) -> Message:
        if request.tensors:
            self.sent.append(request.content["change"]["hash"])
        return super().ask(request)

    @property
    def sent(self) -> list[str]:
        return self.__dict__.setdefault("_sent", [])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those of the next `--workers`, without processes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pool_module, "PATIENCE", 0.01)
    Path("prompts.txt").write_text("\n".join(PROMPTS))
    monkeypatch.setattr(opening, "LocalWorker", lambda number, *_: _Listening(f"w{number}"))
    with one_thread():
        yield


def train(model: Path, *options: str, out: str, kind: str = "rl", **parts: Spec) -> Result:
    spec = {
        "model": str(model),
        "dtype": "float32",
        "evaluation": {
            "dtype": "float32"
        },  # else workers in this process would change what is found out
        "data": {"prompts": "prompts.txt"},
        "reward": {"parts": [{"name": "length", "target": 2}]},
        "rl": RL | parts.get("rl", {}),
        "compute": {"sampler_rows": 2} | parts.get("compute", {}),  # a pack for each prompt
    }
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    line = ["train", kind, "spec.yaml", "--out", out, *options]
    return CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)


def left(out: str) -> Left:
    """The adapter's bytes, and the log without what a sampler apart adds."""
    rows = read_jsonl(Path(out) / "logs" / "rl-seed0.jsonl")
    for row in rows:
        row.pop("staleness", None), row.pop("dropped", None)
    return (Path(out) / "candidates/rl/adapter_model.safetensors").read_bytes(), rows


def dies_at(number: int) -> Callable[[Mapping[str, Any]], bool]:
    """Of the packs that it is asked for, at that one."""
    seen: list[bool] = []

    def dies(request: Mapping[str, Any]) -> bool:
        seen.append(runs(request))
        return runs(request) and sum(seen) == number

    return dies


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """What one process leaves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("alone"))
        Path("prompts.txt").write_text("\n".join(PROMPTS))
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        result = train(model, out="alone")
        torch.set_num_threads(before)
        assert result.exit_code == 0, result.output
        found = left("alone")
    yield found


def test_workers_that_die_change_no_byte(
    model: Path, alone: Left, workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [_Listening("w1", dies_at(random.Random().randint(1, 3))), _Listening("w2")]
    monkeypatch.setattr(opening, "LocalWorker", lambda number, *_: two[number - 1])
    pooled = train(model, "--workers", "2", out="pooled")
    assert pooled.exit_code == 0, pooled.output
    assert left("pooled") == alone
    if "is gone" in pooled.stderr:  # the other may have taken all of its packs before
        assert two[0].links > 1
    for worker in two:  # each version once
        assert len(worker.sent) == len(set(worker.sent)) <= STEPS
    assert set(two[0].sent) | set(two[1].sent) and two[0].links + two[1].links >= 2
    record = json.loads(Path("pooled/run.json").read_text())
    assert (record["pool"]["workers"], record["pool"]["threads"]) == (2, 1)


def test_workers_that_listen_with_tls_give_the_bytes_of_one_process(
    model: Path, alone: Left, workers: None
) -> None:
    certificate, key = certificates.made(Path())
    token, _ = made_token(Path("token"), "--token-file")
    servers = [WorkerServer("127.0.0.1", 0, token, certified(certificate, key)) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve, daemon=True).start()
    addresses = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    shown = ["--workers", addresses, "--worker-token", "token", "--worker-threads", "1"]
    trusted = train(model, *shown, "--worker-ca", str(certificate), out="tls")
    assert trusted.exit_code == 0, trusted.output
    assert left("tls") == alone
    for trust, code, words in (
        ([], 1, "perhaps it speaks with TLS: give --worker-ca"),
        (["--worker-ca", "system"], 2, "its certificate isn't trusted"),
    ):
        refused = train(model, *shown, *trust, out="none")
        assert refused.exit_code == code and words in refused.stderr, refused.output
        assert not Path("none").exists()


@pytest.mark.parametrize("staleness", [0, 1])
def test_a_learner_that_is_killed_goes_on_to_the_byte(
    staleness: int, model: Path, alone: Left, workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: dict[str, Spec] = {"compute": {"sampler": "workers"}, "rl": {"staleness": staleness}}
    expected = alone
    if staleness:
        assert train(model, "--workers", "1", out="whole", **parts).exit_code == 0
        expected = left("whole")
    whole, save = loop.update, Checkpoint.save
    updates: list[int] = []

    def killed(*given: Any, **named: Any) -> Any:
        updates.append(1)
        if len(updates) == 4:
            raise KeyboardInterrupt
        return whole(*given, **named)

    def saves(checkpoint: Checkpoint, step: int, *given: Any) -> None:
        if step == 2 or len(updates) >= 4:  # not where it is interrupted
            save(checkpoint, step, *given)

    monkeypatch.setattr(loop, "update", killed)
    monkeypatch.setattr(Checkpoint, "maybe_save", saves)
    assert train(model, "--workers", "1", out="run", **parts).exit_code == 130
    monkeypatch.setattr(loop, "update", whole)
    assert train(model, "--workers", "2", "--resume", out="run", **parts).exit_code == 0
    assert left("run") == expected


@pytest.mark.parametrize("pack", [1, 5])  # in the first step, with nothing learned yet, and later
def test_with_no_worker_left_it_is_said_how_to_go_on(
    pack: int, model: Path, alone: Left, workers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaving(_Listening):
        def link(self) -> Any:
            self.starts = self.links < 1
            return super().link()

    dies = Leaving("w1", dies_at(pack))
    monkeypatch.setattr(opening, "LocalWorker", lambda number, *_: dies)
    result = train(model, "--workers", "1", out="run")
    assert result.exit_code == 1
    [message] = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert message.startswith(
        "Error: workers: none is left; w1: no such machine. What was learned before"
    )
    assert message.count("the same command") == 1 and "--resume" in message
    monkeypatch.setattr(opening, "LocalWorker", lambda number, *_: _Listening("w"))
    assert train(model, "--workers", "1", "--resume", out="run").exit_code == 0
    assert left("run") == alone


@pytest.mark.parametrize(
    ("parts", "options", "message"),
    [
        ({"rl": {"adapter": {"kind": "full"}}}, ["--workers", "2"], "rl.adapter.kind is full"),
        ({"compute": {"sampler": "vllm:http://h:1/v1"}}, ["--workers", "2"], "leave one of the two"),
        ({"compute": {"base_precision": "nf4"}}, ["--workers", "2"], "base_precision is nf4"),
        ({"compute": {"sampler": "workers"}}, [], "workers are named with --workers"),
        ({}, ["--worker-threads", "2"], "--worker-threads: belongs to --workers"),
    ],
)  # fmt: skip
def test_what_workers_can_not_sample_is_refused_before_anything_is_made(
    model: Path,
    workers: None,
    parts: dict[str, Spec],
    options: list[str],
    message: str,
) -> None:
    result = train(model, *options, out="out", **parts)
    assert result.exit_code == 2 and message in result.stderr, result.output
    assert not Path("out").exists()


def test_other_trainings_have_nothing_to_sample(model: Path, workers: None) -> None:
    result = train(model, "--workers", "2", out="out", kind="sft")
    assert result.exit_code == 2 and "'train sft' samples nothing" in result.stderr
