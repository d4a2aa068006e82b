"""`--workers` of commands: the same rows as without, and what is wrong with it in one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from pooled import WorkerHere, once, runs
from questions import CASES
from tiny import saved
from truing.cli.main import app
from truing.models import precision
from truing.models.pool import opening


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model, questions, and workers without processes of which the first dies once."""
    monkeypatch.chdir(tmp_path)
    lines = [
        json.dumps(
            {
                "question": case.prompt,
                "correct_answers": list(case.correct_answers),
                "incorrect_answers": list(case.incorrect_answers),
            }
        )
        for case in CASES
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(
        opening, "LocalWorker", lambda number, *_: WorkerHere(f"worker {number}", once(runs))
    )
    before, granted = torch.get_num_threads(), precision._granted.bfloat16
    torch.set_num_threads(1)
    yield saved(tmp_path / "model")
    torch.set_num_threads(before)
    precision._granted.bfloat16 = granted
    precision.has_fast_bfloat16.cache_clear()


def evaluated(folder: Path, out: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> Result:
    """With a cache of its own, so that nothing is known."""
    monkeypatch.setenv("TRUING_CACHE", str(folder.parent / f"cache-{out}"))
    line = ["eval", "truthfulness", "rules", "--limit", "6", "--candidate", str(folder)]
    common = ["--questions", "questions.jsonl", "--dtype", "float32", "--prompt", "own", "helpful"]
    return CliRunner().invoke(app, [*line, *common, "--out", out, *options])


def test_rows_are_those_of_one_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = evaluated(folder, "plain", monkeypatch)
    assert plain.exit_code == 0, plain.stderr
    pooled = evaluated(folder, "pooled", monkeypatch, "--workers", "2")
    assert pooled.exit_code == 0, pooled.stderr
    assert "Workers: 2 on this machine, 1 thread each." in pooled.stderr
    assert "its pack is taken over" in pooled.stderr
    for name in ("rows.jsonl", "rows.csv"):
        assert Path("plain", name).read_bytes() == Path("pooled", name).read_bytes()
    one, other = (
        json.loads(Path(name, "results.json").read_text()) for name in ("plain", "pooled")
    )
    assert other.pop("pool")["threads"] == 1
    for differs in ("begun", "seconds"):
        del one[differs], other[differs]
    assert one == other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "--workers 0: must be at least 1; give a number of processes"),
        (["--workers", "many"], "--workers many: can't be read; give a number of processes"),
        (["--workers", "host:1"], "--workers host:1: workers that listen ask for a token"),
        (["--workers", "2", "--worker-token", "t"], "--worker-token: belongs to workers that listen"),
        (["--worker-threads", "2"], "--worker-threads: belongs to --workers"),
        (["--worker-silence", "9"], "--worker-silence: belongs to --workers"),
        (["--workers", "ray://h:1", "--worker-silence", "9"], "--worker-silence: holds for processes"),
        (["--workers", "a:b", "--worker-token", "t"], "--worker-token t: can't be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    result = evaluated(folder, "out", monkeypatch, *options)
    assert result.exit_code == 2 and message in result.stderr
    assert not Path("out").exists()


def test_without_ray_it_is_said_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it isn't installed
    result = evaluated(folder, "out", monkeypatch, "--workers", "ray://head:10001")
    assert result.exit_code == 2
    assert "needs Ray; install it with: pip install 'truing[ray]'" in result.stderr


def test_a_worker_says_what_is_wrong_with_its_options(folder: Path) -> None:
    for options, message in (
        (["--listen", "nowhere"], "--listen nowhere: is no address"),
        (["--listen", "127.0.0.1:0", "--tls-cert", "c"], "belong together; give both"),
        (["--listen", "203.0.113.1:1"], "can't listen there"),
    ):
        result = CliRunner().invoke(app, ["worker", "--token-file", "token", *options])
        assert result.exit_code == 2 and message in result.stderr
