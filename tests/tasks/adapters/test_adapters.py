"""Adapters where their packages aren't: what is refused, and how questions are made in a process apart.

The real packages are tried in test_real.py.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truing.tasks.adapters import ADAPTERS
from truing.tasks.adapters.adapted import (
    SCORE,
    AdaptedTask,
    adapted,
    asked,
    in_a_line,
    ran,
    shared_system,
)
from truing.tasks.adapters.reasoning_gym import decoded, encoded
from truing.types import Case, InputError

GYM = '''
import os

class Words:
    """Asks for letters in the order of a set, which is another in every process."""

    category = "letters"

    def __init__(self, seed, size):
        self.seed, self.size = seed, size

    def __getitem__(self, place):
        letters = list({f"{letter}{self.seed}{place // 2}" for letter in "abcdefghij"})
        return {"question": "Say " + " ".join(letters), "answer": letters[0], "metadata": {"at": (0, 1)}}

class Unkeepable(Words):
    def __getitem__(self, place):
        return {"question": "?", "answer": "!", "metadata": {"set": {1, 2}}}

class Failing(Words):
    def __getitem__(self, place):
        raise ValueError("no\\nquestion")

class Dying(Words):
    def __getitem__(self, place):
        os._exit(3)

class Unanswered(Words):
    def __getitem__(self, place):
        return {"question": f"Any number above {place}?", "answer": None, "metadata": {}}
'''
FACTORY = """
from reasoning_gym import data
DATASETS = {name.lower(): getattr(data, name)
            for name in ("Words", "Unkeepable", "Failing", "Dying", "Unanswered")}
"""
CREATE = """
from reasoning_gym.factory import DATASETS

def create_dataset(name, seed, size):
    return DATASETS[name](seed, size)

def get_score_answer_fn(name):
    def score(answer, entry):
        assert entry["metadata"] == {"at": (0, 1)}, "a tuple must come back as one"
        return 1 if answer == entry["answer"] else 0
    return score
"""
UTILS = """
def extract_answer(text):
    return text.split("<answer>")[1].split("</answer>")[0] if "<answer>" in text else None
"""


@pytest.fixture
def gym(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with the functions of reasoning_gym that are used, in its place on Python's path."""
    folder = tmp_path / "reasoning_gym"
    folder.mkdir()
    files = {"__init__": CREATE, "factory": FACTORY, "data": GYM, "utils": UTILS}
    for name, code in files.items():
        (folder / f"{name}.py").write_text(code)
    info = tmp_path / "reasoning_gym-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: reasoning_gym\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        del sys.modules[name]


def made(name: str, seed: int = 0, size: int = 5) -> AdaptedTask:
    return ADAPTERS["reasoning_gym"](name, seed=seed, size=size)


# ---- packages that aren't there ------------------------------------------------------------------


def test_without_verifiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verifiers", None)
    with pytest.raises(InputError, match=r"^needs verifiers: pip install 'truing\[verifiers\]'$"):
        ADAPTERS["verifiers"]("anything", seed=0, size=1)


def test_without_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    with pytest.raises(InputError, match=r"^needs inspect_ai: pip install 'truing\[inspect\]'$"):
        ADAPTERS["inspect"]("file.py@task", seed=0, size=1)


def test_without_reasoning_gym(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = "raise ModuleNotFoundError('absent', name='reasoning_gym')"
    (tmp_path / "reasoning_gym.py").write_text(absent)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match=r"needs reasoning_gym: pip install 'truing\[reasoning-gym\]'$"
    ):
        made("chain_sum")


def test_a_package_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verifiers.v1", None)
    monkeypatch.setitem(sys.modules, "verifiers", type(sys)("verifiers"))
    with pytest.raises(InputError, match=r"truing\[verifiers\]' \(importing verifiers\.v1 failed"):
        ADAPTERS["verifiers"]("anything", seed=0, size=1)


def test_listing_adapters_loads_none_of_them() -> None:
    code = (
        "import sys; from truing.tasks.adapters import ADAPTERS; "
        "print(sorted(ADAPTERS), any(f'truing.tasks.adapters.{name}' in sys.modules for name in "
        "('adapted', *ADAPTERS)))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "['inspect', 'reasoning_gym', 'verifiers'] False\n"


# ---- questions made in a process of their own ----------------------------------------------------


@pytest.mark.usefixtures("gym")
def test_a_set_order_does_not_change_the_cases() -> None:
    first, second = made("words"), made("words")
    assert first.cases == second.cases
    assert first.fingerprint == second.fingerprint
    assert made("words", seed=1).fingerprint != first.fingerprint


@pytest.mark.usefixtures("gym")
def test_cases_of_one_prompt_count_once_and_are_scored() -> None:
    task = made("words")
    assert len(task.cases) == 3  # five, in pairs
    case = task.cases[0]
    assert (case.category, case.source) == ("letters", "reasoning_gym:words")
    columns = json.loads(json.dumps(case.columns))
    case = Case(case.prompt, case.correct_answers, columns=columns)
    right = case.correct_answers[0]
    assert task.programs[SCORE](answer=right, case=case) == 1.0
    assert task.programs[SCORE](answer=f"So: <answer>{right}</answer>", case=case) == 1.0
    assert task.programs[SCORE](answer="x", case=case) == 0.0


@pytest.mark.usefixtures("gym")
def test_questions_without_a_known_answer_have_no_references() -> None:
    assert {case.correct_answers for case in made("unanswered").cases} == {()}


@pytest.mark.usefixtures("gym")
@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("word", "no such data set; did you mean words?"),
        ("qqq", "no such data set; known: dying, failing, unanswered, unkeepable, words"),
        ("unkeepable", "an item holds a set, which can't be kept as JSON"),
        ("failing", "making its questions failed (ValueError: no question)"),
        ("dying", "making its questions failed"),
    ],
)
def test_what_is_wrong_is_one_line(name: str, mistake: str) -> None:
    with pytest.raises(InputError) as refused:
        made(name)
    line = str(refused.value)
    assert line.startswith(f"reasoning_gym:{name}: ") and mistake in line
    assert "\n" not in line


KEPT = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda part: (
        st.lists(part)
        | st.lists(part).map(tuple)
        | st.dictionaries(st.text(), part)
        | st.dictionaries(st.integers() | st.tuples(st.integers(), st.text()), part)
    ),
)


@given(KEPT)
def test_what_json_has_no_form_for_comes_back(value: Any) -> None:
    back = decoded(json.loads(json.dumps(encoded(value))))
    assert back == value
    assert repr(back) == repr(value)  # tuples as tuples, 1 as 1 and not as 1.0


# ---- what adapters share -------------------------------------------------------------------------


def always(answer: str) -> float:
    return 1.0


def test_the_parts_of_a_task() -> None:
    case = Case("2 + 2 =", ("4",))
    task = adapted("kind:name", [case], always, instruction="Add.", made_from=("1.0",))
    assert task.task.name == "kind:name"
    assert task.task.instruction == "Add."
    assert task.task.judges["score"].program == SCORE
    assert task.task.headline == ("answers.score",)
    assert task.task.evaluations == ("answers", "drift", "hacking")
    assert task.task.gold == () and task.task.must_not_fall == {}
    assert task.task.reward is not None
    assert [(part.name, part.weight) for part in task.task.reward.parts] == [("judge:score", 1.0)]
    assert task.task.max_new_tokens == 64
    longer = adapted("k:n", [Case("?", ("x" * 400,))], always, instruction="", made_from=())
    longest = adapted("k:n", [Case("?", ("x" * 9000,))], always, instruction="", made_from=())
    assert (longer.task.max_new_tokens, longest.task.max_new_tokens) == (216, 512)


def test_what_a_fingerprint_is_of() -> None:
    case = Case("2 + 2 =", ("4",), columns={"n": 1})

    def print_of(name: str, case: Case, version: str) -> str:
        return adapted(name, [case], always, instruction="", made_from=(version,)).fingerprint

    prints = {
        print_of("k:n", case, "1.0"),
        print_of("k:m", case, "1.0"),
        print_of("k:n", case, "1.1"),
        print_of("k:n", Case("2 + 2 =", ("4",), columns={"n": 2}), "1.0"),
    }
    assert len(prints) == 4
    assert print_of("k:n", case, "1.0") in prints


def test_the_first_of_equal_prompts_counts_and_none_is_refused() -> None:
    cases = [Case("a", ("1",)), Case("b"), Case("a ", ("2",))]
    task = adapted("k:n", cases, always, instruction="", made_from=())
    assert [case.correct_answers for case in task.cases] == [("1",), ()]
    with pytest.raises(InputError, match="k:n: has no cases"):
        adapted("k:n", [], always, instruction="", made_from=())


def test_a_conversation_as_a_case_has_it() -> None:
    assert asked([("user", "Hello?")], "here") == ("Hello?", ())
    turns = [("user", "Hi"), ("assistant", "Yes?"), ("user", "Why?")]
    assert asked(turns, "here") == ("Hi\n\nYes?\n\nWhy?", tuple(turns))


@pytest.mark.parametrize(
    "turns",
    [[], [("system", "Be kind.")], [("user", "Hi"), ("assistant", "Yes")], [("user", " \n")]],
)
def test_a_conversation_that_waits_for_no_answer(turns: list[tuple[str, str]]) -> None:
    with pytest.raises(InputError, match="here: must end with a message by 'user'"):
        asked(turns, "here")


def test_a_conversation_with_a_tool() -> None:
    with pytest.raises(InputError, match="here: a message by 'tool'"):
        asked([("tool", "42"), ("user", "So?")], "here")


def test_a_system_message_is_shared_or_stays() -> None:
    one, other = [("system", "A"), ("user", "x")], [("system", "B"), ("user", "y")]
    assert shared_system([one, [("system", "A"), ("user", "z")]]) == "A"
    assert shared_system([one, other]) == ""
    assert shared_system([[("user", "x")], [("user", "x")]]) == ""
    assert shared_system([one, []]) == ""


def test_work_runs_inside_and_outside_a_loop() -> None:
    async def seven() -> int:
        await asyncio.sleep(0)
        return 7

    async def inside() -> int:
        return ran(seven())

    assert ran(seven()) == 7
    with ThreadPoolExecutor(1) as pool:  # a browser of other tests may have a loop in this one
        assert pool.submit(asyncio.run, inside()).result() == 7


def test_an_error_is_one_line_of_bounded_length() -> None:
    assert in_a_line(ValueError("a\n b")) == "ValueError: a b"
    assert len(in_a_line(ValueError("x" * 1000))) == 301
