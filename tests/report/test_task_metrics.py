"""The report in a task's own terms: any metrics, any number of methods, no names from one task."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import truing
from synthetic_run import EXTRACTION, GRADED, write_extraction_run
from truing.recipes.report import build_report, metrics_of, task_metrics
from truing.recipes.report_runs import report_runs
from truing.report import svg
from truing.report.findings import findings
from truing.report.measured import Measured, measure
from truing.report.sentences import Finding
from truing.report.task_metrics import TaskMetrics
from truing.runs.folder import RunFolder
from truing.spec.task import TaskSpec
from truing.types import InputError, Metric, Row

EXTRACTING = task_metrics(TaskSpec.model_validate(EXTRACTION))
TOXIC = TaskMetrics(
    metrics=(
        Metric("answers", "toxic", "Toxic answers", -1, "share", ""),
        Metric("answers", "kept", "Names kept", 1, "share", ""),
        Metric("trivia", "errors", "Errors", -1, "share", ""),
    ),
    titles={},
    headline=(("answers", "toxic"), ("answers", "kept")),
    must_not_fall={("trivia", "errors"): 0.1},
    by_reward=("rl",),
)
"""Less is better of the first and the last."""


def against_base(task: TaskMetrics, name: str = "rl", **changes: list[float]) -> Measured:
    rows = []
    for key, steps in changes.items():
        evaluation, metric = key.split("__")
        for case in range(40):
            values = {"base": 0.5, name: 0.5 + steps[case % len(steps)]}
            rows += [
                Row(candidate, 0, evaluation, f"c{case}", {metric: value})
                for candidate, value in values.items()
            ]
    return measure(rows, ["base", name], task)


def said_of(measured: Measured) -> list[Finding]:
    return findings(measured, judges={}, data={}, finished=True)


@pytest.mark.parametrize("ending", ["*.py", "*.j2"])
@pytest.mark.parametrize("room", ["report", "methods", "recipes", "cli"])
def test_no_metric_names(room: str, ending: str) -> None:
    folder = Path(truing.__file__).parent / room
    for path in folder.rglob(ending):
        text = path.read_text(encoding="utf-8")
        assert "mc2" not in text and "true_and_informative" not in text, path


# --- What the task says ------------------------------------------------------------------------


def test_a_tasks_own_judges_are_metrics_of_its_answers() -> None:
    same, valid = EXTRACTING.of(EXTRACTING.headline)
    assert (same.key, same.label, same.better) == ("answers.same", "Same as the reference", 1)
    assert valid.label == "Valid" and valid.spoken == "valid"
    assert EXTRACTING.stands_for == EXTRACTING.headline == EXTRACTING.rewarded
    assert EXTRACTING.must_not_fall == {("trivia", "mc1"): 0.05}


def test_the_default_task_is_the_truthful_one() -> None:
    task = task_metrics(TaskSpec())
    assert [metric.label for metric in task.of(task.headline)] == [
        "True and informative", "MC2", "MC1",
    ]  # fmt: skip
    assert [metric.name for metric in task.grades] == ["true", "informative"]
    assert [metric.label for metric in task.likelihoods] == ["MC1", "MC2"]
    assert task.words.cases == "questions" and task.rewarded == ()


def test_a_run_without_task_keys_is_read_as_the_default(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"candidates": ["base"]}')
    (tmp_path / "spec.yaml").write_text("task: {instruction: Answer., words: gone}\n")
    assert metrics_of(RunFolder.open(tmp_path)) == task_metrics(TaskSpec())
    (tmp_path / "spec.yaml").write_text("task: {headline: 5}\n")
    with pytest.raises(InputError, match=r"spec\.yaml: task: headline: .*got 5"):
        metrics_of(RunFolder.open(tmp_path))


def test_the_record_says_which_methods_follow_a_reward(tmp_path: Path) -> None:
    run = RunFolder.open(write_extraction_run(tmp_path / "run", held_out=5))
    assert metrics_of(run).by_reward == ("rl", "best_of_n")


# --- Findings ----------------------------------------------------------------------------------

MORE, LESS = [0.1, 0.2], [-0.1, -0.2]


def test_where_less_is_better_a_fall_helps() -> None:
    first = said_of(against_base(TOXIC, answers__toxic=LESS, answers__kept=MORE))[0]
    assert first.tone == "gain"
    assert first.text.startswith("rl raised names kept by +0.15") and (
        " and lowered toxic answers by −0.15" in first.text
    )
    first = said_of(against_base(TOXIC, answers__toxic=LESS, answers__kept=LESS))[0]
    assert first.tone == "mixed" and ", but lowered names kept by −0.15" in first.text
    first = said_of(against_base(TOXIC, answers__toxic=MORE))[0]
    assert first.tone == "loss" and "did not help: it raised toxic answers" in first.text


def test_where_less_is_better_a_rise_is_damage() -> None:
    def text(steps: list[float]) -> str:
        found = said_of(against_base(TOXIC, answers__toxic=LESS, trivia__errors=steps))
        return "\n".join(finding.text for finding in found[1:])

    assert "changed errors by +0.15" in text(MORE) and "that is damage" in text(MORE)
    assert "errors" not in text(LESS)
    assert "a loss of more than 0.1 is not excluded" in text([0.4, -0.4])


@pytest.mark.parametrize(("toxic", "verdict"), [(LESS, "agrees"), (MORE, "gamed")])
def test_what_a_reward_stands_for_may_be_less(toxic: list[float], verdict: str) -> None:
    measured = against_base(TOXIC, answers__toxic=toxic, hacking__reward=MORE)
    (found,) = [finding for finding in said_of(measured) if finding.reward]
    sign = "−" if toxic is LESS else "+"
    assert found.reward == verdict and f"toxic answers ({sign}0.15 [" in found.text


def test_an_exact_program_may_reward_and_measure_and_it_is_said() -> None:
    measured = against_base(EXTRACTING, answers__valid=MORE, hacking__reward=MORE)
    (text,) = [finding.text for finding in said_of(measured) if "rewarded" in finding.text]
    assert text == (
        "`valid` is both what was rewarded and what is measured: an exact program, so that is "
        "allowed."
    )
    other = against_base(EXTRACTING, "sft", answers__valid=MORE)
    assert not [finding for finding in said_of(other) if "rewarded" in finding.text]


def test_no_word_of_truth_where_the_task_has_none() -> None:
    data = {"give_away": {"bag_of_words": 0.9}}
    measured = against_base(EXTRACTING, answers__valid=MORE)
    found = findings(measured, judges={}, data=data, finished=True)
    text = " ".join(finding.text for finding in found)
    assert "judge" not in text and "truth" not in text and "Not measured: MC1 on" in text


# --- The page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 9])
def test_a_page_of_another_task_with_many_methods(tmp_path: Path, count: int) -> None:
    names = tuple(GRADED)[:count]
    run = write_extraction_run(tmp_path / "run", names)
    page = build_report(run).read_text(encoding="utf-8")
    assert "Answers, to held-out cases" in page and "Gain in same as the reference" in page
    assert "Same as the reference and valid are graded by programs" in page
    assert "<span>same as the reference 1.00</span><span>valid 1.00</span>" in page
    assert 'id="attacks"' not in page and "Misconception" not in page
    assert "the same cases, none of which" in page and "held-out questions" not in page
    assert all(f"</svg>{name}</span>" in page for name in names)
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["candidates"]["rl"]["answers"]) == {"same", "valid"}
    assert any(text.startswith("best_of_n raised same as") for text in summary["findings"])


def test_every_candidate_is_shown_in_eighty_columns(tmp_path: Path) -> None:
    run = write_extraction_run(tmp_path / "run", tuple(GRADED)[:8])
    console = Console(width=80, record=True, file=io.StringIO())
    report_runs([run], console)
    text = console.export_text()
    table = text[: text.index("Report: ")]
    assert max(map(len, table.splitlines())) <= 80 and "…" not in table
    assert [line.split() for line in table.splitlines() if line.startswith("measure")] == [
        ["measure", "base", "prompt", "sft", "rl"],
        ["measure", "best_of_n", "dpo", "distilled", "merged"],
    ]


def test_ten_candidates_have_ten_marks() -> None:
    names = ["base", "prompt", "sft", "rl", *"abcdef"]
    colour = svg.palette(names)
    classes = [colour(name) for name in names]
    assert len(set(classes)) == len({svg.SHAPES[css] for css in classes}) == 10
    assert [colour(name) for name in names] == classes
