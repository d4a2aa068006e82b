"""A task of one's own, by the page docs/tasks.md: from an empty folder to a finished comparison."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import run
from paths import DOCS
from tiny import saved

PLACES = ("Oslo", "Graz", "Turin", "Porto", "Lyon", "Bergen")
NAMES = ("Mara Lind", "Ivo Beck", "Nia Okoro", "Tom Rask", "Lea Duval")


def quoted(kind: str) -> list[str]:
    """The page's blocks of one kind."""
    page = (DOCS / "tasks.md").read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)


def moves(count: int, after: int) -> list[dict[str, object]]:
    return [
        {"name": NAMES[n % 5], "city": PLACES[n % 6], "year": 1950 + n}
        for n in range(after, after + count)
    ]


def sentence(move: dict[str, object]) -> str:
    return f"{move['name']} moved to {move['city']} in {move['year']}."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says to write: one YAML file, one function, two data files."""
    (task, _), (program,) = quoted("yaml"), quoted("python")
    (tmp_path / "task.yaml").write_text(task, encoding="utf-8")
    (tmp_path / "checks.py").write_text(program, encoding="utf-8")
    cases = [{"text": sentence(move), "gold": move} for move in moves(60, 0)]
    demonstrations = [
        {"prompt": sentence(move), "completion": json.dumps(move)} for move in moves(20, 60)
    ]
    for name, rows in (("cases.jsonl", cases), ("demos.jsonl", demonstrations)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_leads_to_a_finished_comparison(folder: Path, tmp_path: Path) -> None:
    checked = json.loads(run("tasks", "task.yaml", "--json").stdout)
    assert sum(checked["cases"].values()) == 60
    assert checked["headline"] == ["answers.same", "answers.valid"]
    model = saved(tmp_path / "model")
    done = run(
        "align",
        "--task",
        "task.yaml",
        "--profile",
        "smoke",
        "--model",
        model,
        "--out",
        "out",
        "--json",
    )
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert set(result["candidates"]) == {"base", "prompt", "sft", "rl"}
    for figures in result["candidates"].values():
        assert set(figures["answers"]) == {"same", "valid"}
        assert (
            figures["answers"]["same"]["n"] == result["candidates"]["base"]["answers"]["same"]["n"]
        )
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "True and informative" not in page and "judge is weak" not in page
    assert "Running checks.py:valid_json" in done.stderr
    added = run("eval", "attacks", "--run", "out", "--json")
    assert added.exit_code == 0, added.output
    assert set(json.loads(added.stdout)["candidates"]["sft"]) == {
        "answers",
        "trivia",
        "drift",
        "attacks",
    }
    (folder / "checks.py").write_text((folder / "checks.py").read_text() + "# another\n")
    assert "has changed since" in message("eval", "hacking", "--run", "out")
    again = ("--task", "task.yaml", "--profile", "smoke", "--model", model, "--out", "out")
    assert "a file that it names has changed" in message("align", *again)


def message(*arguments: object) -> str:
    """What a refused command says last; what it ran stands above."""
    done = run(*arguments)
    assert done.exit_code == 2 and done.stdout == "", done.output
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and done.stderr.count("\nError: ") <= 1
    return last


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "task.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("prompt: text", "prompt: txt", "no column 'txt'"),
        ("answers.same, answers.valid]", "answers.sme]", "headline: 'answers.sme'"),
        ("[answers, trivia, drift]", "[answers, quiz]", "evaluations: 'quiz': unknown"),
        ("checks.py:valid_json", "checks.py:valid", "has no function 'valid'"),
        ("json_equal", "json_same", "unknown program 'json_same'"),
        ("headline:", "headlines:", "did you mean 'headline'?"),
        ("cases: cases.jsonl", "cases: none.jsonl", "none.jsonl: no such file"),
        (
            "  cases: cases.jsonl",
            "  cases: cases.jsonl\n  refusals: demos.jsonl",
            "demos.jsonl:1: expects: missing",
        ),
        ("name: json-extraction", "name: format", "taken by a built-in task"),
        ("name: json-extraction", "name: a/../b", "a name has letters"),
        ("trivia.mc1: 0.05", "trivia.mc1: -1", "must_not_fall"),
        ("judge:same", "judge:smae", "no judge 'smae'"),
        ("max_new_tokens: 40", "max_new_tokens: 40\nname: other", "name: given twice, in lines 1"),
        ("[answers, trivia, drift]", "[]", "evaluations: empty"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder: Path, old: str, new: str, part: str) -> None:
    change(folder, old, new)
    assert part in message("tasks", "task.yaml")


def test_a_program_that_raises_on_every_answer_is_refused_before_training(folder: Path) -> None:
    (folder / "checks.py").write_text("def valid_json(answer):\n    raise OSError('no disk')\n")
    told = message("align", "--task", "task.yaml", "--profile", "smoke", "--out", "out")
    assert "raised on each" in told and "no disk" in told
    assert not (folder / "out").exists()


def test_a_program_that_grades_nothing_is_refused(folder: Path) -> None:
    (folder / "checks.py").write_text("def valid_json(answer):\n    return None\n")
    assert "graded none of 15 made-up answers" in message("tasks", "task.yaml")


def test_other_questions_are_the_truthful_tasks_alone(folder: Path) -> None:
    told = message("align", "--task", "format", "--questions", "cases.jsonl", "--out", "out")
    assert "data.questions: belongs to the task truthful" in told


@pytest.mark.parametrize("task", ["", "."])
def test_what_is_no_task_is_said(folder: Path, task: str) -> None:
    assert "empty" in message("tasks", task) or "is a folder" in message("tasks", task)


def test_a_task_without_cases_is_refused(folder: Path) -> None:
    (folder / "cases.jsonl").write_text("")
    assert "cases.jsonl" in message("tasks", "task.yaml")
