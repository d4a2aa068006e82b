"""Tasks of reasoning_gym, verifiers and Inspect, read with the real packages.

`make adapters` installs them in an environment of their own and runs these tests there.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from paths import ROOT
from truing.tasks.adapters import ADAPTERS
from truing.tasks.adapters.adapted import SCORE, AdaptedTask
from truing.types import Case, InputError

PACKAGES = ("reasoning_gym", "verifiers", "inspect_ai")
pytestmark = [
    pytest.mark.adapters,
    pytest.mark.skipif(
        any(find_spec(package) is None for package in PACKAGES), reason="make adapters runs these"
    ),
]
INSPECT_FILE = ROOT / "tests" / "support" / "inspect_tasks.py"


def fresh(name: str, *, seed: int = 0, size: int = 6) -> AdaptedTask:
    kind, _, reference = name.partition(":")
    return ADAPTERS[kind](reference, seed=seed, size=size)


load = functools.cache(fresh)


def inspect_task(task: str) -> str:
    return f"inspect:{INSPECT_FILE}@{task}"


def reread(case: Case) -> Case:
    """The case as a run folder gives it back."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(case)))
    texts = {key: tuple(data[key]) for key in ("correct_answers", "incorrect_answers")}
    messages = tuple((role, text) for role, text in data["messages"])
    return Case(**{**data, **texts, "messages": messages})


def score(task: AdaptedTask, answer: str, case: Case) -> float | None:
    value = task.programs[SCORE](answer=answer, case=case)
    return None if value is None else float(value)


RIGHT: Mapping[str, tuple[str, float]] = {
    "reasoning_gym:chain_sum": ("{answer}", 1.0),
    "reasoning_gym:arc_agi": ("{answer}", 1.0),  # scored with tuples, which JSON hasn't
    "reasoning_gym:word_ladder": ("{answer}", 1.0),  # made by way of sets
    "verifiers:sums_taskset": ("{answer}", 1.5),
    inspect_task("capitals"): ("It is {answer}", 1.0),
    inspect_task("letters"): ("ANSWER: {answer}", 1.0),
}
"""By task: an answer as it is right, and what that is worth."""


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_answer_is_worth_most(name: str) -> None:
    form, most = RIGHT[name]
    task = load(name)
    assert len(task.cases) >= 4
    assert len({case.id for case in task.cases}) == len(task.cases)
    for case in map(reread, task.cases):
        right = score(task, form.format(answer=case.correct_answers[0]), case)
        wrong = score(task, "no idea whatsoever", case)
        assert right == most
        assert wrong is not None and wrong < most


@pytest.mark.parametrize("name", RIGHT)
def test_cases_come_back_from_json_as_they_were(name: str) -> None:
    cases = load(name).cases
    assert [reread(case) for case in cases] == list(cases)


@pytest.mark.parametrize("name", RIGHT)
def test_the_seed_says_which_cases(name: str) -> None:
    first, same, other = load(name), fresh(name), fresh(name, seed=1)
    assert first.cases == same.cases
    assert first.fingerprint == same.fingerprint
    assert first.cases != other.cases
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize("name", ["reasoning_gym:word_ladder", "verifiers:sums_taskset"])
def test_another_process_makes_the_same_cases(name: str) -> None:
    kind, _, reference = name.partition(":")
    code = (
        "import sys; from truing.tasks.adapters import ADAPTERS; "
        f"print(ADAPTERS[{kind!r}]({reference!r}, seed=0, size=6).fingerprint)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        for hash_seed in ("1", "2")
    }
    assert printed == {load(name).fingerprint}


def test_what_the_task_says() -> None:
    task = load("reasoning_gym:chain_sum").task
    assert task.name == "reasoning_gym:chain_sum"
    assert task.headline == ("answers.score",)
    assert task.reward is not None and task.reward.parts[0].name == "judge:score"
    assert task.max_new_tokens == 64
    grid = load("reasoning_gym:arc_agi").task.max_new_tokens
    assert grid is not None and 64 < grid <= 512


# ---- reasoning_gym -------------------------------------------------------------------------------


def test_an_answer_may_stand_in_tags() -> None:
    task = load("reasoning_gym:chain_sum", size=1)
    (case,) = task.cases
    right = case.correct_answers[0]
    assert score(task, f"I add them up. <answer>{right}</answer>", case) == 1.0
    partial = score(task, f"The result is {right}", case)
    assert partial is not None and 0 < partial < 1  # the package's own partial credit


def test_a_data_set_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="no such data set; did you mean chain_sum"):
        load("reasoning_gym:chain_sums")
    with pytest.raises(InputError, match=r"no such data set; known: ab, acre"):
        load("reasoning_gym:qqqqqq")


def test_a_data_set_that_needs_to_be_told_more() -> None:
    with pytest.raises(InputError, match=r"making its questions failed.*at least one dataset"):
        load("reasoning_gym:composite")


# ---- verifiers -----------------------------------------------------------------------------------


def test_a_taskset_speaks_with_its_own_system_message() -> None:
    task = load("verifiers:sums_taskset", size=2)
    assert task.task.instruction == "Answer with a number."
    assert task.cases[0].messages == ()
    assert task.cases[0].prompt.endswith("=")


def test_weights_count_and_so_does_a_cut_answer() -> None:
    task = load("verifiers:sums_taskset", size=1)
    (case,) = task.cases
    right = case.correct_answers[0]
    assert score(task, f"It is {right}", case) == 1.0
    assert score(task, "0", case) == 0.5
    assert task.programs[SCORE](answer=right, case=case, finished=False) == 0.5


def test_scoring_works_inside_a_running_loop() -> None:
    task = load("verifiers:sums_taskset", size=1)

    async def inside() -> float | None:
        return score(task, task.cases[0].correct_answers[0], task.cases[0])

    assert asyncio.run(inside()) == 1.5


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("InContainer", "needs a container"),
        ("Prepared", r"prepares a runtime \(setup\)"),
        ("Ungraded", "has no reward"),
        ("ByRuntime", "its reward inside needs a runtime"),
    ],
)
def test_tasksets_that_need_more_than_an_answer(kind: str, reason: str) -> None:
    import sums_taskset

    sums_taskset.as_module(f"sums_{kind.lower()}", getattr(sums_taskset, kind))
    with pytest.raises(InputError, match=reason):
        load(f"verifiers:sums_{kind.lower()}")


def test_a_taskset_in_which_the_user_begins() -> None:
    import sums_taskset

    sums_taskset.as_module("sums_unasked", sums_taskset.SumTask, prompt=None)
    with pytest.raises(InputError, match="task 0: has no prompt"):
        load("verifiers:sums_unasked")


def test_a_module_that_is_none() -> None:
    with pytest.raises(InputError, match="no module 'nowhere_to_be_seen' to import"):
        load("verifiers:nowhere_to_be_seen")
    with pytest.raises(InputError, match="loading it failed"):
        load("verifiers:json")


# ---- Inspect -------------------------------------------------------------------------------------


def test_the_solver_writes_the_prompt() -> None:
    task = load(inspect_task("capitals"))
    assert task.task.instruction == "Answer in one word."
    assert {case.prompt for case in task.cases} >= {"Question: The capital of Italy?\nAnswer:"}
    assert all(not case.messages for case in task.cases)


def test_choices_are_in_the_prompt() -> None:
    (case,) = load(inspect_task("letters"), size=1).cases
    assert "A) Paris" in case.prompt and "D) Oslo" in case.prompt


def test_a_dialogue_with_a_scorer_of_its_own() -> None:
    task = load(inspect_task("dialogue"))
    (case,) = task.cases
    assert task.task.instruction == "Be brief."
    assert [role for role, _ in case.messages] == ["user", "assistant", "user"]
    assert case.correct_answers == ()
    case = reread(case)
    assert score(task, "blue yellow", case) == 1.0
    assert score(task, "blue and yellow or so", case) == pytest.approx(2 / 5)
    assert score(task, "", case) is None


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("judged", "has a model as judge"),
        ("judged_inside", "its scorer needs a model"),
        ("boxed", "needs a sandbox"),
        ("two_turns", "asks more than once"),
        ("without_targets", "no sample has a target"),
        ("with_argument", "making the task failed"),
        ("empty", "has no cases|has no samples"),
        ("capitols", "did you mean 'capitals'"),
    ],
)
def test_inspect_tasks_that_are_refused(
    task: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_EVAL_MODEL", "mockllm/model")  # would answer if it were asked
    with pytest.raises(InputError, match=reason) as refused:
        load(inspect_task(task))
    assert "\n" not in str(refused.value)
    assert os.environ["INSPECT_EVAL_MODEL"] == "mockllm/model"


@pytest.mark.parametrize(("task", "reason"), [("parts", "several values"), ("words", "no number")])
def test_values_that_are_no_number_never_become_one(task: str, reason: str) -> None:
    adapted = load(inspect_task(task), size=1)
    with pytest.raises(ValueError, match=reason):
        score(adapted, "Paris", adapted.cases[0])


def test_a_file_that_fails_and_one_that_is_not_there(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('no')")
    with pytest.raises(InputError, match=r"importing .*broken\.py failed \(SystemExit: no\)"):
        load(f"inspect:{broken}@task")
    with pytest.raises(InputError, match=r"no such file; give inspect:FILE\.py@task"):
        load(f"inspect:{tmp_path / 'absent.py'}@task")
    with pytest.raises(InputError, match=r"no such file; give inspect:FILE\.py@task"):
        load(f"inspect:{INSPECT_FILE}")


def test_another_file_is_another_task(tmp_path: Path) -> None:
    copy = tmp_path / "tasks.py"
    copy.write_text(INSPECT_FILE.read_text())
    first = fresh(f"inspect:{copy}@capitals")
    copy.write_text(INSPECT_FILE.read_text() + "\n# changed\n")
    second = fresh(f"inspect:{copy}@capitals")
    assert first.cases == second.cases
    assert first.fingerprint != second.fingerprint
