"""`truing align --workers`: what one process leaves, though a worker dies while candidates are measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from pooled import WorkerHere, once, one_thread, runs
from tiny import saved
from truing.cli.main import app
from truing.files import read_json
from truing.models.pool import opening
from truing.models.pool import pool as pool_module

SPEC: dict[str, Any] = {
    "dtype": "float32",
    "task": {
        "name": "truthful",
        "evaluations": ["attacks", "trivia"],
        "headline": ["attacks.success"],
        "gold": [],
    },
    "methods": ["rl"],
    "reward": {"parts": [{"name": "length", "target": 2}]},
    "rl": {
        "steps": 1, "prompts_per_step": 4, "samples_per_prompt": 2, "max_new_tokens": 4,
        "adapter": {"rank": 2},
    },
    "compute": {"sampler": "workers", "sampler_rows": 4},
    "data": {"limit": 12, "control_limit": 3},
    "evaluation": {"max_new_tokens": 4, "attacks": 2, "resamples": 100, "dtype": "float32"},
}  # fmt: skip


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of its own, and one thread."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pool_module, "PATIENCE", 0.01)
    with one_thread():
        yield


def aligned(
    out: str, monkeypatch: pytest.MonkeyPatch, *options: str, **over: Any
) -> tuple[str, dict[str, Any], list[bytes]]:
    """What is told, the document, and the bytes of the adapter, the log and the rows."""
    Path("spec.yaml").write_text(yaml.safe_dump(SPEC | over))
    monkeypatch.setenv("TRUING_CACHE", str(Path(f"cache-{out}").absolute()))
    line = ["align", "spec.yaml", "--out", out, "--json", *options]
    result = CliRunner().invoke(app, line, prog_name="truing", catch_exceptions=False)
    assert result.exit_code == 0, result.output
    rows = sorted(path for path in Path(out, "rows").rglob("*") if path.is_file())
    assert len(rows) > 1
    files = [Path(out, "candidates/rl/adapter_model.safetensors"), *rows]
    return result.stderr, json.loads(result.stdout), [file.read_bytes() for file in files]


def test_what_is_left_is_that_of_one_process(
    tmp_path: Path, alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(saved(tmp_path / "model", 4096))
    here = {"compute": {"sampler_rows": 4}}
    _, expected, bytes_alone = aligned("alone", monkeypatch, model=model, **here)
    asked: list[str] = []

    def first_score(request: Any) -> bool:
        asked.append(request.get("function", ""))
        return runs(request) and request["function"] == "score"

    monkeypatch.setattr(
        opening, "LocalWorker", lambda number, *_: WorkerHere(f"w{number}", once(first_score))
    )
    told, found, bytes_pooled = aligned("pooled", monkeypatch, "--workers", "2", model=model)
    assert "its pack is taken over" in told
    assert {"score", "sample"} <= set(asked)
    assert bytes_pooled == bytes_alone
    assert found["candidates"] == expected["candidates"]
    assert found["differences"] == expected["differences"]
    assert read_json(Path("pooled/run.json"))["pool"]["workers"] == 2
