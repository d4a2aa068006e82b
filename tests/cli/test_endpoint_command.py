"""`truing eval` on `endpoint:URL#MODEL`: names, messages, what is written down."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from endpoints import CASES, Answer, Chat, Completions, knows, serving
from hostile import MISBEHAVIOURS, raw_serving
from truing.cli.main import app
from truing.models.remote.client import Connection
from truing.models.remote.endpoint import EndpointName
from truing.types import InputError


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("endpoint:http://127.0.0.1:8000#org/m:7b", "http://127.0.0.1:8000/v1"),
        ("endpoint:http://127.0.0.1:8000/#org/m:7b", "http://127.0.0.1:8000/v1"),
        ("endpoint:https://models.example/api/v2/#org/m:7b", "https://models.example/api/v2"),
    ],
)
def test_names_are_taken_apart(name: str, url: str) -> None:
    assert EndpointName.parse(name) == EndpointName(url, "org/m:7b")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("endpoint:http://127.0.0.1", "names no model"),
        ("endpoint:http://127.0.0.1#", "names no model"),
        ("endpoint:ftp://127.0.0.1#m", "http or https"),
        ("endpoint:127.0.0.1:80#m", "URL"),
        ("endpoint:http://me:secret@host#m", "a key in the URL"),
    ],
)
def test_wrong_names_say_what_would_be_right(name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        EndpointName.parse(name)
    assert "secret" not in str(raised.value)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUING_ENDPOINT_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    lines = [
        {
            "question": case.prompt,
            "correct_answers": list(case.correct_answers),
            "incorrect_answers": list(case.incorrect_answers),
        }
        for case in CASES
    ]
    Path("questions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def evaluate(*arguments: str, out: str = "out") -> Any:
    line = ["eval", "truthfulness", "--questions", "questions.jsonl", "--out", out, *arguments]
    return CliRunner().invoke(app, line, catch_exceptions=False)


def test_the_command_scores_a_served_model(here: Path) -> None:
    with serving(Completions()) as server:
        done = evaluate("--candidate", server.name, "--prompt", "none", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["candidates"][server.name]["truthfulness"]["none"]["mc2"]["n"] == 5
    about = document["models"][server.name]
    assert about["scored"] == "log-probabilities" and about["weights"] == "unknown"
    assert about["fingerprints"] == ["fp"] and about["model"] == "tiny"
    assert "log-probabilities that the server gives" in done.stderr
    assert "weights are unknown" in Path("out/report.html").read_text()


def test_the_command_says_that_letters_are_chosen(here: Path) -> None:
    with serving(Chat(knows)) as server:
        done = evaluate("--candidate", server.name, "--prompt", "helpful")
        assert server.seen[-1][1]["messages"][0]["role"] == "system"
    assert done.exit_code == 0, done.output
    assert "chooses between lettered answers" in done.stderr
    assert "no likelihoods" in " ".join(done.stdout.split())
    rows = [json.loads(line) for line in Path("out/rows.jsonl").read_text().splitlines()]
    assert rows[0]["detail"]["taken"] == {"all": [0.0] * 3, "two": [0.0] * 2}
    assert "unscored" in rows[0]["metrics"]["mc2"]
    assert "no likelihoods" in Path("out/report.html").read_text()


def test_servers_that_give_nothing_end_with_one_message(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = partial(Connection, first_wait=0.001)
    monkeypatch.setattr("truing.models.remote.client.Connection", hasty)
    refusals: list[tuple[Answer, str]] = [
        ((401, {"error": {"message": "no"}}), "TRUING_ENDPOINT_KEY"),
        ((404, {"message": "model not found"}), "the server has 'tiny'"),
        ((429, "too many"), "ask fewer at once"),
        ((500, "for ever"), "see that the server runs"),
        ((200, "<html>"), "isn't a JSON object"),
    ]
    for answer, said in refusals:
        with serving(lambda path, body, answer=answer: answer) as server:  # type: ignore[misc]
            done = evaluate("--candidate", server.name, out=said[:8])
        assert done.exit_code == 2, done.output
        assert said in done.stderr and "Traceback" not in done.stderr
        assert done.stdout == ""
    done = evaluate("--candidate", "endpoint:http://127.0.0.1:1#m", out="nobody")
    assert done.exit_code == 2 and "can't be reached" in done.stderr
    done = evaluate(
        "--candidate", "endpoint:http://127.0.0.1:1#m", "--key-variable", "NO_SUCH", out="nobody"
    )
    assert done.exit_code == 2 and "NO_SUCH" in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "a page",
        "brackets",
        "packed, but not",
        "content: 5",
        "a body a byte at a time",
        "an error of text",
        "a number without end",
    ],
)
def test_hostile_servers_end_with_one_message(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = partial(Connection, first_wait=0.001, attempts=2, longest=0.3, timeout=0.3)
    monkeypatch.setattr("truing.models.remote.client.Connection", hasty)
    monkeypatch.setattr("truing.evaluate.sweep.run.Connection", hasty)
    with raw_serving(lambda path, body: MISBEHAVIOURS[name]()) as server:
        done = evaluate("--candidate", f"endpoint:{server.url}#tiny", "--timeout", "0.3")
    assert done.exit_code == 2, done.output
    assert done.stderr.splitlines()[-1].startswith("Error: endpoint:http") and done.stdout == ""


def test_texts_that_no_file_can_hold_are_written_down(here: Path) -> None:
    """Half of a surrogate pair, a null and a terminal's codes, as an answer and as a fingerprint."""
    odd = "odd \ud800\udfff\x00\x1b[31m[red]<b>"

    choice = {"message": {"content": odd}, "finish_reason": "stop"}
    document = {"choices": [choice], "system_fingerprint": odd}
    with serving(lambda path, body: (200, document)) as server:
        line = ["eval", "answers", "--task", "format", "--limit", "2", "--out", "out"]
        done = CliRunner().invoke(app, [*line, "--candidate", server.name], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "odd" in Path("out/rows.csv").read_text(encoding="utf-8")
    assert "[red]<b>" not in Path("out/report.html").read_text(encoding="utf-8")
