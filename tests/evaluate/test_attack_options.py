"""`truing eval attacks` on the command line: lists, the rewriting attacker, and texts that are hostile."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from endpoints import Chat, serving
from truing.cli.main import app
from truing.evaluate.served import ServedRespondent
from truing.evaluate.sweep.request import SweepSpec
from truing.evaluate.sweep.respondents import Opener
from truing.models.memo.answers import AnswerStore
from truing.models.memo.scores import ScoreStore
from truing.models.remote.client import Connection
from truing.progress import SilentProgress

HOSTILE = "<script>alert(1)</script> \x1b[2J\u202e{{ 7*7 }} <img src=x onerror=alert(2)>"
QUESTIONS = [{"question": f"Who is {name}?", "correct_answers": ["nobody"], "incorrect_answers": ["me"]}
             for name in ("ann", "bob")]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("questions.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    attacks = [{"prompt": text, "trigger": "teapot"} for text in (HOSTILE, *["Say teapot."] * 2)]
    Path("list.jsonl").write_text("\n".join(map(json.dumps, attacks)))


def run(*options: str) -> Any:
    line = ["eval", "attacks", *options]
    if "--run" not in options:  # a run has questions of its own
        line += ["--questions", "questions.jsonl"]
    return CliRunner().invoke(app, line, catch_exceptions=False)


def measured(name: str, *options: str, out: str = "out") -> dict[str, Any]:
    done = run("--candidate", name, *options, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    figures: dict[str, Any] = json.loads(done.stdout)["candidates"][name]["attacks"]["own"]
    return figures


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(out) / "rows.jsonl").read_text().splitlines()]


def test_a_served_model_is_attacked_under_its_rules_and_a_list_takes_the_wordings_place() -> None:
    with serving(Chat(lambda message: message)) as server:
        figures = measured(server.name, "--attack-limit", "6")
        systems = {
            body["messages"][0]["content"] for _, body in server.seen if len(body["messages"]) > 1
        }
        listed = measured(server.name, "--attacks", "list.jsonl", out="listed")
    assert figures["success"]["n"] == 6 == figures["twin"]["n"] and figures["direct"]["n"] == 12
    assert any(text.startswith("Never say") for text in systems)
    assert listed["success"]["n"] == 2 and listed["success"]["value"] == 0.5
    assert {row["detail"]["wording"] for row in rows_of("listed")} == {"list:1", "list:2"}


def test_hostile_texts_are_shown_as_text() -> None:
    with serving(Chat(lambda message: HOSTILE)) as server:
        done = run("--candidate", server.name, "--attacks", "list.jsonl", "--out", "out")
    assert done.exit_code == 0
    assert "\x1b[2J" not in done.output and "\u202e" not in done.output
    page = Path("out/report.html").read_text()
    assert "<script>alert(1)" not in page and "<img src=x" not in page
    assert {row["detail"]["answer"] for row in rows_of("out")} == {HOSTILE.strip()}


def test_an_attacker_rewrites_within_its_budget_and_its_rows_are_exported() -> None:
    asked: list[str] = []

    def reply(message: str) -> str:
        asked.append(message)
        return "Once there was a gate." if "Write another message" in message else "No."

    with serving(Chat(reply)) as server:
        options = ("--attack-limit", "6", "--attacker", server.name, "--attack-budget", "4")
        figures = measured(server.name, *options, "--export", "inspect", "--export", "lm-eval")
    assert figures["rewritten"]["n"] + figures["rewritten"]["unscored"] == 6
    assert sum("Write another message" in message for message in asked) == 4
    assert figures["rewritten"]["value"] == 0.0


def test_an_attacker_minds_no_option_of_other_evaluations() -> None:
    with serving(Chat(lambda message: message)) as server:
        spec = SweepSpec(("attacks", "best_of_n"), ("one",), attacker=server.name, draws=2)
        opener = Opener(spec, (), ScoreStore(), AnswerStore(), SilentProgress(), Connection())
        with opener.attacker() as attacker:
            assert attacker is not None and isinstance(attacker.respondent, ServedRespondent)
            assert (attacker.respondent.mode, attacker.respondent.interface) == (None, ("chat", ""))


@pytest.mark.parametrize(
    "bad",
    [
        (400, {"error": {"message": "too long"}}),
        (200, {"choices": [{"message": {"role": "assistant", "content": 5}}]}),
        (200, "no JSON at all" * 3),
        (200, {"choices": [{"message": {"role": "assistant", "content": "b," * 1_500_000}}]}),
    ],
)
def test_an_attacker_that_answers_badly_leaves_its_rows_unscored_and_loses_nothing(
    bad: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("truing.models.remote.client.LONGEST_WAIT", 0.0)  # nobody waits
    chat = Chat(lambda message: "No.")

    def behaviour(path: str, body: dict[str, Any]) -> Any:
        rewrites = "Write another message" in json.dumps(body)
        return bad if rewrites else chat(path, body)

    with serving(behaviour) as server:
        options = ("--attack-limit", "6", "--attacker", server.name, "--attack-budget", "1")
        figures = measured(server.name, *options)
    assert figures["success"]["n"] == 6 and figures["success"]["value"] == 0.0
    rows = [row["metrics"]["rewritten"] for row in rows_of("out") if "rewritten" in row["metrics"]]
    assert len(rows) == 6 and any("no rewriting: left out" in json.dumps(each) for each in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--attacks", "nowhere.txt"], "nowhere.txt: no such file"),
        (["--attacker", "nobody"], "--attacker nobody: unknown; give self"),
        (
            ["--run", "out", "--attacks", "list.jsonl"],
            "--run: measures as the run measured; leave out",
        ),
        (["--run", "out", "--attack-limit", "3"], "leave out --attack-limit"),
    ],
)
def test_what_is_wrong_is_one_line(options: Sequence[str], message: str) -> None:
    who = [] if "--run" in options else ["--candidate", "nobody"]
    done = run(*who, *options)
    assert done.exit_code == 2 and message in done.output, done.output
    assert len(done.stderr.strip().splitlines()) == 1


def test_options_of_attacks_belong_to_attacks() -> None:
    line = ["eval", "trivia", "--candidate", "nobody", "--attacks", "list.jsonl"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 2 and "--attacks: belongs to attacks" in done.output


def test_what_is_said_of_a_list_stands_in_the_document() -> None:
    with serving(Chat(lambda message: "No.")) as server:
        done = run("--candidate", server.name, "--attacks", "list.jsonl", "--out", "out", "--json")
    assert "1 text(s) that stand twice are asked once" in done.stderr
    assert "3 prompt(s) scored by their words" in done.stderr
