"""What a function of one's own is called with, and what it may give back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from truing.judges.programs import Program
from truing.rewards.calling import columns_of
from truing.rewards.mixture import build_reward, check_reward
from truing.rewards.program import program
from truing.rewards.reward import Answered, scored
from truing.spec.reward import RewardSpec
from truing.types import Case, InputError, Unscored

CASES = [
    Case("What is 2 + 2?", ("4",), columns={"question": "What is 2 + 2?", "solution": 4, "answer": "4"}),
    Case("What is 3 + 4?", ("7",), columns={"question": "What is 3 + 4?", "solution": 7, "hard": True}),
]  # fmt: skip
ANSWERS = [Answered(CASES[0], "4"), Answered(CASES[1], "8", finished=False)]
TALK = Case("Hi.\n\nHo.", messages=(("user", "Hi."), ("assistant", "Hello."), ("user", "Ho.")))


def given(tmp_path: Path, code: str, answers: list[Answered] = ANSWERS) -> list[Any]:
    """The scores of `function` in a file with this code."""
    file = tmp_path / "mine.py"
    file.write_text(code)
    columns = columns_of(each.case for each in answers)
    return scored(program(f"{file}:reward", {}, "here", columns), answers)


ONE = [
    # By place, as ever, whatever the two are called; and by name where the names say what they mean.
    ("def reward(prompt, answer):", "prompt == 'What is 2 + 2?' and answer == '4'", [1, 0]),
    ("def reward(x, y):", "x == 'What is 2 + 2?' and y == '4'", [1, 0]),
    ("def reward(q, answer):", "q == 'What is 2 + 2?' and answer == '4'", [1, 0]),
    ("def reward(x, y, /):", "x.startswith('What') + len(y)", [2, 2]),
    ("def reward(*both):", "len(both)", [2, 2]),
    ("def reward(*both, **more):", "len(both) + len(more)", [2, 2]),
    ("def reward(answer, prompt):", "prompt == 'What is 2 + 2?' and answer == '4'", [1, 0]),
    # Columns of the row.
    ("def reward(answer, solution):", "int(answer) - solution", [0, 1]),
    ("def reward(solution, answer):", "int(answer) - solution", [0, 1]),
    ("def reward(answer, *, hard=False):", "hard", [0, 1]),
    ("def reward(answer, hard):", "hard is None", [1, 0]),
    ("def reward(answer, **row):", "row['solution'] + len(row)", [6, 10]),
    ("def reward(completion, answer):", "answer == completion", [1, 0]),
    ("def reward(answer, references, finished, case, row):",
     "answer in references and finished and case.columns is row", [1, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("head", "value", "scores"), ONE, ids=[head for head, _, _ in ONE])
def test_one_answer_at_a_time(tmp_path: Path, head: str, value: str, scores: list[float]) -> None:
    assert given(tmp_path, f"{head}\n    return {value}\n") == scores


MANY = [
    # As TRL calls it: prompts, completions and a list for each column, by keyword.
    ("def reward(completions, **columns):", "[len(c) for c in completions]", [1, 1]),
    ("def reward(prompts, completions, solution, **columns):",
     "[float(int(c) == s) for c, s in zip(completions, solution)]", [1, 0]),
    ("def reward(completions, answer, **columns):",  # `answer` is the column here
     "[float(c == a) for c, a in zip(completions, answer)]", [1, 0]),
    ("def reward(**columns):", "[len(columns['prompts'][0])] * len(columns['completions'])",
     [14, 14]),
    # TRL hands over everything; a function that names less gets less.
    ("def reward(completions):", "[1.0, None]", [1, Unscored("the reward gave None")]),
    ("def reward(answers, solution):",
     "tuple(float(int(a) == s) for a, s in zip(answers, solution))", [1, 0]),
    ("def reward(completions, hard, finished):", "[h is None and f for h, f in zip(hard, finished)]",
     [1, 0]),
    ("def reward(completions, level=3):", "[level] * len(completions)", [3, 3]),
]  # fmt: skip


@pytest.mark.parametrize(("head", "value", "scores"), MANY, ids=[head for head, _, _ in MANY])
def test_many_answers_at_once(tmp_path: Path, head: str, value: str, scores: list[Any]) -> None:
    assert given(tmp_path, f"{head}\n    return {value}\n") == scores


def test_it_is_called_once_for_the_whole_batch(tmp_path: Path) -> None:
    code = "calls = []\ndef reward(completions):\n    calls.append(completions)\n"
    code += "    return [len(calls)] * len(completions)\n"
    assert given(tmp_path, code) == [1.0, 1.0]


def test_a_conversation_comes_as_messages(tmp_path: Path) -> None:
    code = (
        "def reward(prompts, completions):\n"
        "    assert [turn['role'] for turn in prompts[0]] == ['user', 'assistant', 'user']\n"
        "    return [len(c[0]['content']) for c in completions]\n"
    )
    assert given(tmp_path, code, [Answered(TALK, "So?")]) == [3.0]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            "def reward(answer, soluton):",
            r"asks for 'soluton'.*columns: answer, hard, question, sol",
        ),
        (
            "def reward(completions, soluton):",
            r"asks for 'soluton'.*there are completions, answers",
        ),
        ("def reward(one):", r"must be callable as reward\(prompt, answer\), or name what it asks"),
        ("def reward(answer, x, y, z):", "asks for 'x'"),
        ("def reward():", "must be callable"),
    ],
)
def test_what_it_cant_be_given_is_named(tmp_path: Path, head: str, message: str) -> None:
    with pytest.raises(InputError, match=f"reward: .*mine.py:reward.*{message}|{message}"):
        given(tmp_path, f"{head}\n    return 1\n")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def reward(completions):\n    return [1.0]\n", "gave 1 scores for 2 answers"),
        ("def reward(completions):\n    return 1.0\n", "TypeError"),
        ("def reward(completions):\n    return ['1', 2]\n", "a str for answer 0"),
        ("def reward(prompt, answer):\n    return [1.0]\n", "a list for answer 0"),
    ],
)
def test_what_it_may_not_give(tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given(tmp_path, code)


def test_a_column_of_later_rows_alone_is_a_column(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def reward(completions, hard):\n    return [h or 0.0 for h in hard]\n")
    spec = RewardSpec.model_validate({"parts": [{"name": f"{file}:reward"}]})
    check_reward(spec, [*CASES[:1] * 5, CASES[1]])
    with pytest.raises(InputError, match="asks for 'hard'"):
        check_reward(spec, CASES[:1])
    built = build_reward(spec, lambda: pytest.fail("no model"), columns=columns_of(CASES))
    assert built(ANSWERS[:1]) == [0.0] and built(ANSWERS) == [0.0, 1.0]


def test_where_columns_arent_known_in_use_it_is_said(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def reward(answer, solution):\n    return solution\n")
    spec = RewardSpec.model_validate({"parts": [{"name": f"{file}:reward"}]})
    with pytest.raises(
        InputError, match=r"^best_of_n: .* without references and columns; .*'solut"
    ):
        check_reward(spec, [Case("Q?")], needed="best_of_n: answers are chosen by it")


def test_a_judge_may_take_lists_as_well() -> None:
    def right(completions: list[str], solution: list[int]) -> list[float]:
        return [float(int(c) == s) for c, s in zip(completions, solution, strict=True)]

    judge = Program.of("right", right, "judges.right")
    judge.check_columns({"solution"}, "judges.right")
    assert [judge(answered) for answered in ANSWERS] == [1.0, 0.0]
    two = Program.of("two", lambda completions: [1.0, 2.0], "judges.two")
    assert isinstance(two(ANSWERS[0]), Unscored)
