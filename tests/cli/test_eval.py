"""`truing eval` as a command: what it prints and writes, its options, mistakes in them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from questions import CASES
from tiny import plain, tokenizer
from truing.candidates import open_candidate
from truing.cli.main import app
from truing.evaluate.sweep.exports import EXPORTS
from truing.types import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder; the cache and the working folder are the test's own."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TRUING_PRESETS", raising=False)
    monkeypatch.chdir(tmp_path)
    plain("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    lines = [
        json.dumps(
            {
                "question": case.prompt,
                "correct_answers": list(case.correct_answers),
                "incorrect_answers": list(case.incorrect_answers),
                "category": "ab"[number % 2] + "<b>",
            }
        )
        for number, case in enumerate(CASES)
    ]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    return tmp_path / "model"


def test_the_hash_of_weights_knows_no_place(folder: Path) -> None:
    _, first = open_candidate(str(folder), 0, "float32")
    folder.rename(folder.with_name("moved"))
    _, second = open_candidate(str(folder.with_name("moved")), 0, "float32")
    assert first == second
    config = folder.with_name("moved") / "config.json"
    config.write_text(config.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    assert open_candidate(str(config.parent), 0, "float32")[1] != first
    with pytest.raises(InputError, match="endpoint"):
        open_candidate("endpoint:http://localhost#m", 0, "float32")


@pytest.mark.parametrize("begun", [False, True])
def test_a_refusal_leaves_no_folder_but_one_that_was_there(folder: Path, begun: bool) -> None:
    line = [
        "eval",
        "truthfulness",
        "--questions",
        "questions.jsonl",
        "--out",
        "out/x",
        "--candidate",
    ]
    if begun:  # by the same command, when the candidate was there
        assert CliRunner().invoke(app, [*line, str(folder), "--dtype", "float32"]).exit_code == 0
    kept = sorted(path.name for path in Path("out/x").glob("*"))
    (folder / "model.safetensors").write_bytes(b"torn")
    result = CliRunner().invoke(app, [*line, str(folder), "--dtype", "float32"])
    assert result.exit_code == 2 and "model.safetensors" in result.stderr
    assert sorted(path.name for path in Path("out/x").glob("*")) == kept
    assert Path("out/x").exists() is begun


def test_the_command_prints_figures_and_writes_everything(folder: Path) -> None:
    (folder.parent / "short.txt").write_text("Q {question} A")
    (folder.parent / "long.txt").write_text("so " * 60 + "{question}")
    common = ["eval", "truthfulness", "--candidate", str(folder), "--questions", "questions.jsonl",
              "--dtype", "float32", "--prompt"]  # fmt: skip
    long = CliRunner().invoke(app, [*common, "long.txt", "--out", "long"])
    assert long.exit_code == 2 and "so are all others" in long.stderr
    command = [*common, "own", "--prompt", "short.txt", "--out", "other"]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    found = document["candidates"][str(folder)]["truthfulness"]
    assert list(found) == ["own", "short.txt"]
    for metrics in found.values():
        assert list(metrics) == ["mc1", "mc2", "binary"]
        for estimate in metrics.values():
            assert list(estimate) == ["value", "low", "high", "n", "unscored"]
            assert estimate["n"] + estimate["unscored"] == len(CASES)
    assert document["answers_computed"] == 60
    rows = [json.loads(line) for line in Path("other/rows.jsonl").read_text().splitlines()]
    assert (
        len(rows)
        == len(list(csv.DictReader(Path("other/rows.csv").read_text().splitlines())))
        == 12
    )
    mean = sum(row["metrics"]["mc2"] for row in rows[:6]) / 6
    assert found["own"]["mc2"]["value"] == pytest.approx(mean)
    page = Path("other/report.html").read_text()
    assert "a&lt;b&gt;" in page and "<b>" not in page and "short.txt" in page
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and "MC1" in again.stdout
    assert json.loads(Path("other/results.json").read_text())["answers_computed"] == 0


def test_many_wordings_of_two_candidates(folder: Path) -> None:
    other = folder.with_name("other")
    plain("llama", seed=1).save_pretrained(other)
    tokenizer().save_pretrained(other)
    Path("mine.jsonl").write_text('"be brief"\n{"prompt": "say it", "name": "say"}\n"so?"')
    Path("bad.txt").write_text("Q: {question} A:\n\nQ: A:\n")
    common = ["eval", "truthfulness", "trivia", "--candidate", str(folder), "--candidate",
              str(other), "--questions", "questions.jsonl", "--controls", "questions.jsonl",
              "--dtype", "float32", "--out", "many", "--prompts"]  # fmt: skip
    refused = CliRunner().invoke(app, [*common, "bad.txt"])
    assert refused.exit_code == 2 and "bad.txt:3: no slot for the question" in refused.stderr
    clash = CliRunner().invoke(app, [*common, "mine.jsonl", "--prompt", "say"])
    assert clash.exit_code == 2 and not Path("many").exists()
    export = [part for form in EXPORTS for part in ("--export", form)]
    done = CliRunner().invoke(app, [*common, "mine.jsonl", *export, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["sensitivity"]["mine"]["truthfulness"]
    assert found["wordings"] == ["mine-1", "say", "mine-3"]
    rows = [json.loads(line) for line in Path("many/rows.jsonl").read_text().splitlines()]
    means = {
        wording: [r["metrics"]["mc2"] for r in rows
                  if (r["prompt"], r["candidate"], r["evaluation"])
                  == (wording, str(folder), "truthfulness")]
        for wording in found["wordings"]
    }  # fmt: skip
    best = max(means, key=lambda wording: sum(means[wording]))
    spread = found["candidates"][str(folder)]["mc2"]
    assert spread["best"]["prompt"] == best
    assert spread["max"] == pytest.approx(sum(means[best]) / len(CASES))
    assert {order["metric"] for order in found["orders"]} == {"mc1", "mc2", "binary"}
    table = pq.read_table("many/rows.parquet").to_pylist()
    assert table[0]["context"] == "be brief\n\nQ: who is ann?\nA:"
    [samples] = Path("many/lm-eval/say").glob("*model/samples_trivia_*.jsonl")
    first = json.loads(samples.read_text().splitlines()[0])
    assert first["arguments"]["gen_args_0"]["arg_1"] == " ann is a cat"
    assert len(list(Path("many/inspect").iterdir())) == 12


def test_controls_from_several_places(folder: Path, shared_data: Path) -> None:
    mmlu = shared_data / "mmlu" / "test"
    book = shared_data / "truthfulqa" / "openbookqa.jsonl"
    common = ["eval", "trivia", "--candidate", str(folder), "--json", "--limit", "14"]
    given = [part for one in (book, mmlu, "built-in") for part in ("--controls", str(one))]
    done = CliRunner().invoke(app, [*common, *given])
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["questions"]["trivia"]["n"] == 14
    [rows] = Path("runs").glob("eval-*/rows.jsonl")
    categories = {json.loads(line)["category"] for line in rows.read_text().splitlines()}
    subjects = {path.stem.removesuffix("_test").replace("_", " ") for path in mmlu.iterdir()}
    assert len(subjects) == 5 and categories >= {*subjects, "OpenBookQA"}
    Path("empty").mkdir()
    wrong = CliRunner().invoke(app, [*common, "--controls", "empty"])
    assert wrong.exit_code == 2 and "empty: no question file in this folder" in wrong.stderr


def test_the_question_that_is_too_long_is_named_with_its_tokens(folder: Path) -> None:
    line = {"question": "who " * 40 + "?", "correct_answers": ["me"], "incorrect_answers": ["you"]}
    questions = Path("questions.jsonl")
    questions.write_text(f"{json.dumps(line)}\n{questions.read_text()}")
    done = CliRunner().invoke(
        app, ["eval", "truthfulness", "--candidate", str(folder), "--questions", str(questions),
              "--dtype", "float32", "--out", "long", "--json"],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "question 'who who" in done.stderr and "1 of 7 questions are unscored" in done.stderr
    [reason] = {
        row["metrics"]["mc1"]["unscored"]
        for row in map(json.loads, Path("long/rows.jsonl").read_text().splitlines())
        if isinstance(row["metrics"]["mc1"], dict)
    }
    tokens = len(f"Q: {'who ' * 39}who ?\nA: you") - 1  # a character each, the last one unread
    assert f"{tokens} tokens" in reason and "holds 128" in reason


def test_mistakes_end_with_one_message(folder: Path) -> None:
    both = '{"question": "q", "correct_answers": ["a"], "incorrect_answers": [" a"]}'
    Path("both.jsonl").write_text(both)
    for arguments, said in (
        (
            ["nonsense", "--candidate", str(folder)],
            "known: truthfulness, answers, wins, preferences, trivia",
        ),
        (["truthfulness", "--candidate", str(folder), "--form", "x"], "known: auto, text, chat"),
        (["truthfulness", "--candidate", str(folder), "--dtype", "int8"], "float32, bfloat16"),
        (
            ["truthfulness", "--candidate", str(folder), "--export", "csv"],
            "known: parquet, lm-eval",
        ),
        (["truthfulness", "--candidate", str(folder), "--form", "chat"], "no chat template"),
        (["truthfulness", "--candidate", str(folder), "--questions", "both.jsonl"], "as true and"),
        (["truthfulness", "--candidate", "nowhere"], "unknown model"),
        (["truthfulness", "--candidate", str(folder), "--out", "model"], "something else"),
    ):
        done = CliRunner().invoke(app, ["eval", *arguments])
        assert done.exit_code == 2, done.output
        assert said in done.stderr and "Traceback" not in done.stderr
    before = ["eval", "truthfulness", "--candidate", str(folder), "--out", "untouched"]
    for wrong in (["--prompt", "helpfull"], ["--questions", "both.jsonl"]):
        assert CliRunner().invoke(app, [*before, *wrong]).exit_code == 2
    assert not Path("untouched").exists()
