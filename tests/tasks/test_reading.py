"""What `task:` in a spec means: a name, a file or a mapping, and who wins over whom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.progress import SilentProgress
from truing.spec.reading import make_spec
from truing.spec.run import Spec
from truing.spec.task import TaskSpec
from truing.tasks import TASKS, task_of
from truing.tasks.metrics import check_measures, metrics_of
from truing.tasks.texts import compared_texts
from truing.types import InputError

TASK = """
name: shout
instruction: Say it loudly.
data: {cases: words.jsonl, columns: {prompt: word}}
judges: {loud: {program: loud.py:loud}}
max_new_tokens: 11
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "task.yaml").write_text(TASK)
    (tmp_path / "loud.py").write_text(
        "def loud(answer, word):\n    return answer == word.upper()\n"
    )
    rows = [json.dumps({"word": f"word{n}"}) for n in range(20)]
    (tmp_path / "words.jsonl").write_text("\n".join(rows))
    return tmp_path / "task.yaml"


@pytest.mark.parametrize("name", TASKS)
def test_a_built_in_task_can_be_run(name: str) -> None:
    spec = make_spec({"task": name})
    task = task_of(spec)
    check_measures(spec.task)
    task.check_programs()
    assert spec.task.name == name and len(task.cases) >= 120
    assert {case.id for case in task.cases} == {case.id for case in task_of(spec).cases}
    assert task.content_hash() == ""


def test_the_default_is_the_truthful_task() -> None:
    assert Spec().task == TaskSpec() == make_spec({"task": "truthful"}).task
    told = make_spec({"task": {"instruction": "Be true."}}).task
    assert told == TaskSpec(instruction="Be true.")


def test_a_file_means_the_same_by_any_way(file: Path) -> None:
    spec = make_spec({"task": str(file)})
    assert Spec(task=str(file)).task == spec.task
    assert (
        make_spec(spec.model_dump(mode="json"), profile=None) == spec
    )  # a resolved spec, read again
    assert spec.task.data.cases == str(file.parent / "words.jsonl")
    assert spec.task.judges["loud"].program == f"{file.parent / 'loud.py'}:loud"
    assert [metric.key for metric in metrics_of(spec.task)][:1] == ["answers.loud"]
    assert spec.task.headline == ("answers.loud",)
    assert [part.name for part in spec.reward.parts] == ["judge:loud"]


def test_the_spec_wins_over_the_task_and_the_task_over_the_profile(file: Path) -> None:
    assert make_spec({"task": str(file)}, profile="smoke").evaluation.max_new_tokens == 11
    over = {"task": str(file), "evaluation": {"max_new_tokens": 5}}
    spec = make_spec(over, profile="smoke")
    assert (spec.evaluation.max_new_tokens, spec.rl.max_new_tokens) == (5, 11)


def test_every_file_that_a_task_names_is_part_of_what_it_is(file: Path) -> None:
    spec = make_spec({"task": str(file)})
    before = task_of(spec).content_hash()
    assert before and before == task_of(spec).content_hash()
    for name in ("loud.py", "words.jsonl"):
        path = file.parent / name
        path.write_text(path.read_text() + "\n")
        after = task_of(spec).content_hash()
        assert after != before
        before = after


def test_a_built_in_task_takes_other_cases(tmp_path: Path) -> None:
    kept = [{"kind": "lower_case"}]
    rows = [{"prompt": f"Say {n} quietly.", "constraints": kept} for n in range(9)]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = {"cases": str(tmp_path / "own.jsonl")}
    task = task_of(make_spec({"task": {"name": "instructions", "data": data}}))
    assert len(task.cases) == 9 and set(task.graders) == {"share_kept", "all_kept"}


def test_programs_are_named_before_they_run(file: Path) -> None:
    lines: list[str] = []

    class Noting(SilentProgress):
        def note(self, text: str) -> None:
            lines.append(text)

    compared_texts(make_spec({"task": str(file)}), Noting())
    assert lines[0] == f"Running {file.parent / 'loud.py'}:loud"


@pytest.mark.parametrize(
    ("task", "part"),
    [
        ("formt", "did you mean 'format'?"),
        ("none.yaml", "none.yaml: no such file"),
        ({"name": "mine"}, "data.cases: missing"),
        ({"name": "mine", "headlines": []}, "did you mean 'headline'?"),
        ({"data": {"columns": {"promt": "a"}}}, "nothing is called that"),
        ({"rules": [{"id": "a", "says": "b"}, {"id": "a", "says": "c"}]}, "each id"),
    ],
)
def test_what_is_wrong_is_said(task: object, part: str) -> None:
    with pytest.raises(InputError) as refused:
        task_of(make_spec({"task": task}))
    assert part in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("evaluations", ["answers", "quiz"], "evaluations: 'quiz': unknown"),
        ("headline", ["answers.soft"], "headline: 'answers.soft': no evaluation"),
        ("must_not_fall", {"drift.far": 0.1}, "must_not_fall: 'drift.far'"),
        ("headline", [], "headline: empty"),
    ],
)
def test_what_a_task_counts_on_must_be_measured(
    file: Path, key: str, value: object, part: str
) -> None:
    whole = make_spec({"task": str(file)}).task.model_dump(mode="json")
    with pytest.raises(InputError, match=part):
        check_measures(make_spec({"task": {**whole, key: value}}).task)
