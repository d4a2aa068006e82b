"""The run folder: atomic writing, appending after a kill, and clear refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from synthetic_run import row, write_lines, write_run
from truing import files
from truing.runs.folder import RunFolder, read_rows
from truing.types import InputError, Unscored


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", held_out=8, controls=4)


# --- Writing -----------------------------------------------------------------------------------


def test_text_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    files.write_text_atomically(path, "first")
    files.write_text_atomically(path, "zweite Zeile: ä\n")
    assert path.read_text(encoding="utf-8") == "zweite Zeile: ä\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["page.html"]


def test_a_failed_write_leaves_the_old_file_and_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    files.write_json_atomically(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_json_atomically(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_the_new_file_appears_only_by_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    seen: list[str] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        assert not path.exists() and Path(source).parent == path.parent
        seen.append(Path(source).read_text())
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    files.write_text_atomically(path, "whole")
    assert seen == ["whole"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_json_is_not_written(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "log.jsonl"
    files.append(path, {"step": 1})
    with pytest.raises(ValueError, match="JSON"):
        files.append(path, {"step": 2}, {"loss": bad})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json_atomically(tmp_path / "x.json", {"loss": bad})
    assert path.read_text() == '{"step": 1}\n'
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.jsonl"]


def test_appending_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    files.append(path, {"step": 1}, {"step": 2})
    with open(path, "a") as file:
        file.write('{"step": 3, "lo')
    assert files.read_jsonl(path, torn_end=True) == [{"step": 1}, {"step": 2}]
    files.append(path, {"step": 3})
    assert files.read_jsonl(path) == [{"step": 1}, {"step": 2}, {"step": 3}]


def test_odd_text_survives_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    records = [
        {"answer": text} for text in ("a\u2028b\u0085c\x1dd", "ä 日本 🙂", "half \ud83d pair", "\n")
    ]
    files.write_jsonl_atomically(path, records)
    assert files.read_jsonl(path) == records


# --- Reading -----------------------------------------------------------------------------------


def test_a_torn_line_is_forgiven_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(InputError, match=r"log\.jsonl:2: not valid JSON"):
        files.read_jsonl(path, torn_end=True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "each line is a JSON object, not list"),
        ('{"loss": NaN}', r"not valid JSON \(NaN isn't JSON\)"),
        ("{'a': 1}", "not valid JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n' + line + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:3: " + message):
        files.read_jsonl(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": None}, "not a row"),
        ({"metrics": {"mc1": "high"}}, "not a row"),
        ({"metrics": {"mc1": {"reason": "?"}}}, "not a row"),
        ({"metrics": {"mc1": True}}, "metric 'mc1' must be a number"),
        ({"metrics": {"mc1": "0.5"}}, "metric 'mc1' must be a number"),
        ({"colour": "red"}, "not a row"),
    ],
)
def test_a_row_that_is_none_is_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "rows.jsonl"
    good = row("base", 0, "trivia", "q", {"mc1": 1.0})
    write_lines(path, [good, {**good, **change}])
    with pytest.raises(InputError, match=rf"rows\.jsonl:2: {message}"):
        read_rows(path)


def test_an_infinite_metric_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = json.dumps(row("base", 0, "trivia", "q", {"mc1": 1.0})).replace("1.0", "1e999")
    path.write_text(line + "\n")
    with pytest.raises(InputError, match="metric 'mc1' isn't finite"):
        read_rows(path)


def test_unscored_metrics_are_read_as_unscored(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_lines(path, [row("base", 0, "trivia", "q", {"mc1": {"unscored": "empty"}})])
    assert read_rows(path)[0].metrics == {"mc1": Unscored("empty")}


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no run\.json"):
        RunFolder.open(tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="a file, not a run folder"):
        RunFolder.open(file)
    (tmp_path / "run.json").write_text('{\n"candidates": [,]}')
    with pytest.raises(InputError, match=r"run\.json:2: not valid JSON"):
        RunFolder.open(tmp_path)
    (tmp_path / "run.json").write_text('{"candidates": "base"}')
    with pytest.raises(InputError, match="must be a list of names"):
        RunFolder.open(tmp_path)


def test_a_whole_run_is_read(run: Path) -> None:
    folder = RunFolder.open(run)
    rows = folder.rows()
    # base and prompt once, sft and rl twice; 8 questions thrice, 4 controls, 40 attacks.
    assert len(rows) == 6 * (3 * 8 + 4 + 40 + 72)
    assert folder.candidates(rows) == ["base", "prompt", "sft", "rl"]
    assert len(folder.questions()) == 12
    assert list(folder.logs("sft")) == [0, 1] and folder.logs("rl")[1][30]["chosen"] is True
    assert folder.spec()["evaluation"]["resamples"] == 500
    assert folder.judges()["truth"]["n"] == 620


def test_a_bare_run_is_still_a_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"candidates": ["base"]}')
    folder = RunFolder.open(tmp_path)
    assert folder.rows() == [] and folder.questions() == {} and folder.logs("rl") == {}
    assert folder.judges() == {} and folder.spec() == {} and folder.part("costs") == {}


def test_rows_in_the_wrong_folder_are_refused(run: Path) -> None:
    write_lines(run / "rows/trivia/x-seed0.jsonl", [row("x", 0, "attacks", "q", {"success": 0.0})])
    with pytest.raises(InputError, match="belongs in rows/attacks"):
        RunFolder.open(run).rows()


def test_a_question_with_a_wrong_split_is_named(run: Path) -> None:
    write_lines(run / "questions.jsonl", [{"id": "a", "prompt": "Why?", "split": "test"}])
    with pytest.raises(InputError, match=r"questions\.jsonl:1: split: must be one of .*'test'"):
        RunFolder.open(run).questions()


def test_a_log_line_without_a_step_is_named(run: Path) -> None:
    write_lines(run / "logs/rl-seed0.jsonl", [{"step": 0}, {"reward": 1.0}])
    with pytest.raises(InputError, match=r"rl-seed0\.jsonl:2: step"):
        RunFolder.open(run).logs("rl")
