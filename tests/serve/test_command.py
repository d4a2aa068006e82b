"""`truing serve` as a user starts it: what it prints, its answers beside those of chat, its end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import refused, run
from tiny import tiny
from truing.cli.main import app
from waiting import LONG

openai = pytest.importorskip("openai", reason="the openai client is not installed")


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    model = tiny(chat=True)
    model.model.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_it_answers_as_chat_does_and_ends_when_interrupted(folder: Path) -> None:
    line = [sys.executable, "-m", "truing.cli.main", "serve", str(folder), "--port", "0"]
    line += ["--store", str(folder.parent / "people.db"), "--token", "mine"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        first = process.stdout.readline()
        found = re.fullmatch(r"OpenAI's API: (\S+/v1) \(model (\S+), key mine\)\n", first)
        assert found, process.stderr.read()
        link = process.stdout.readline()
        assert re.fullmatch(r"The page to talk to it: http://127\.0\.0\.1:\d+/\?token=mine\n", link)
        url, model = found.groups()
        with openai.OpenAI(base_url=url, api_key="mine", max_retries=0) as client:
            answer = client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "why?"}], seed=3, temperature=1.5,
                max_tokens=20, user="wren", metadata={"consent": "yes"},
            )  # fmt: skip
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 0
        assert process.stdout.read() == ""
        assert re.fullmatch(r"Device: cpu \(.*\)\n", process.stderr.read())
    chat = ["chat", str(folder), "--seed", "3", "--temperature", "1.5", "--max-new-tokens", "20"]
    said = CliRunner().invoke(app, chat, input="why?\n").stdout
    assert said == f"{(answer.choices[0].message.content or '').strip()}\n" and said.strip()
    drawn = run("data", "sample", folder.parent / "x.jsonl", "--store", folder.parent / "people.db")
    assert "Drawn: 1 prompts" in drawn.stdout


def test_two_candidates_are_announced_and_listed(folder: Path) -> None:
    other = folder.parent / "other"
    model = tiny(seed=1, chat=True)
    model.model.save_pretrained(other)
    model.tokenizer.save_pretrained(other)
    line = [sys.executable, "-m", "truing.cli.main", "serve", str(folder), str(other)]
    with subprocess.Popen(
        [*line, "--port", "0", "--token", "mine"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout and process.stderr
            first = process.stdout.readline()
            found = re.fullmatch(
                r"OpenAI's API: (\S+/v1) \(models (\S+) and (\S+), key mine\)\n", first
            )
            assert found, first
            link = process.stdout.readline()
            start = "The page to compare them, without names: http://127.0.0.1:"
            assert link.startswith(start) and "token=mine" not in link
            assert process.stdout.readline() == "Each holds weights of its own.\n"
            assert "aren't kept" in process.stdout.readline()
            with openai.OpenAI(base_url=found[1], api_key="mine", max_retries=0) as client:
                assert [each.id for each in client.models.list()] == list(found.group(2, 3))
            process.send_signal(signal.SIGINT)
            assert process.wait(LONG) == 0
            assert process.stdout.read() == ""
            assert re.fullmatch(r"Device: cpu \(.*\)\n", process.stderr.read())
        finally:
            process.kill()  # else a failure would wait for it


def test_mistakes_are_named(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port: {port} can't be used" in refused(run("serve", folder, "--port", port))
    wrong = run("serve", folder, "--port", 0, "--dtype", "int8")
    assert "--dtype int8: give float32 or bfloat16" in refused(wrong)
    assert "--token: give printable" in refused(run("serve", folder, "--token", "é"))
    missing = tmp_path / "no" / "people.db"
    assert "--store: no folder" in refused(run("serve", folder, "--store", missing))
    assert "no such" in refused(run("serve", tmp_path / "absent", "--port", 0)).lower()
