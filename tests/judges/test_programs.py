"""Programs as judges: what the built-in checks accept, and what a user's function may ask and give."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from truing.judges.checks import CHECKS
from truing.judges.programs import Program, program, try_out
from truing.rewards.reward import Answered
from truing.types import Case, InputError, Unscored

# Each line is a check, an answer, the references and whether it's right.
TRIED: list[tuple[str, str, tuple[str, ...], bool]] = [
    ("json_valid", ' {"a": [1, null]}\n', (), True),
    ("json_valid", "-1.5e3", (), True),
    ("json_valid", "", (), False),
    ("json_valid", '```json\n{"a": 1}\n```', (), False),
    ("json_valid", 'Here it is: {"a": 1}', (), False),
    ("json_valid", "{'a': 1}", (), False),
    ("json_valid", '{"a": NaN}', (), False),
    ("json_valid", '{"a": 1, "a": 2}', (), False),
    ("json_valid", "[" * 100_000, (), False),
    ("json_equal", '{"b": " two ", "a": 1.0}', ('{"a": 1, "b": "two"}',), True),
    ("json_equal", '{"a": [1, 2]}', ("null", '{"a": [1, 2]}'), True),
    ("json_equal", '{"a": [2, 1]}', ('{"a": [1, 2]}',), False),
    ("json_equal", '{"a": [1]}', ('{"a": [1, 2]}',), False),
    ("json_equal", '{"a": true}', ('{"a": 1}',), False),
    ("json_equal", '{"a": "1"}', ('{"a": 1}',), False),
    ("json_equal", '{"a": "Two"}', ('{"a": "two"}',), False),
    ("json_equal", '{"a": 1, "b": null}', ('{"a": 1}',), False),
    ("json_equal", "a: 1", ('{"a": 1}',), False),
    ("exact", " Blue \n green", ("red", "Blue green"), True),
    ("exact", "red", ("red", "Blue green"), True),
    ("exact", "blue green", ("Blue green",), False),
    ("exact", "Blue green.", ("Blue green",), False),
    ("contains", "It was PARIS, in 1889.", ("Rome", "Paris"), True),
    ("contains", "The C++ language", ("C++",), True),
    ("contains", "A comparison.", ("Paris", "Rome"), False),
    ("contains", "anything", ("",), False),
    ("number", "3 bags of 400 make 1,200 g.", ("1200",), True),
    ("number", "So x = -3.50", ("The answer is −3.5",), True),
    ("number", "It is .5", ("0.5",), True),
    ("number", "5-3", ("3",), True),
    ("number", "12, not 13", ("12",), False),
    ("number", "-3", ("3",), False),
    ("number", "twelve", ("12",), False),
]


def _graded(check: str, answer: str, references: tuple[str, ...]) -> Any:
    asked = Answered(Case("Q?", correct_answers=references), answer)
    return program(check, "judges.x", ())(asked)


@pytest.mark.parametrize(("check", "answer", "references", "right"), TRIED)
def test_checks_on_right_and_wrong_answers(
    check: str, answer: str, references: tuple[str, ...], right: bool
) -> None:
    assert _graded(check, answer, references) == float(right)


def test_each_check_is_tried_twice_both_ways() -> None:
    sides = Counter((name, right) for name, *_, right in TRIED)
    assert all(sides[name, right] >= 2 for name in CHECKS for right in (True, False))


@pytest.mark.parametrize("check", sorted(set(CHECKS) - {"json_valid"}))
def test_nothing_to_compare_with_is_unscored(check: str) -> None:
    assert _graded(check, "1", ()) == Unscored("program: gave None")


def test_a_broken_reference_is_no_wrong_answer() -> None:
    score = _graded("json_equal", "{}", ("{a}",))
    assert isinstance(score, Unscored) and score.reason.startswith("program: JSONDecodeError")


# --- What a function asks for -----------------------------------------------------------------

CASE = Case("Q?", ("yes",), columns={"lang": "en", "prompt": "another"})


def _program(function: Any) -> Program:
    return Program.of("mine", function, "judges.x")


def test_it_is_given_what_it_names() -> None:
    asked: list[tuple[Any, ...]] = []

    def mine(
        finished: bool, lang: str, answer: str, references: Any, prompt: str, *, row: Any
    ) -> int:
        asked.append((finished, lang, answer, references, prompt, row["prompt"]))
        return 1

    assert _program(mine)(Answered(CASE, "no", finished=False)) == 1.0
    assert asked == [(False, "en", "no", ("yes",), "Q?", "another")]
    assert _program(lambda case: case is CASE)(Answered(CASE, "")) == 1.0


def test_defaults_stay_where_a_row_has_nothing() -> None:
    def mine(answer: str, lang: str = "?", level: int = 7, *more: Any, **rest: Any) -> float | None:
        return level if lang == "en" and not more and not rest else None

    checked = _program(mine)
    checked.check_columns((), "judges.x")
    assert checked(Answered(CASE, "")) == 7.0
    assert checked(Answered(Case("Q?"), "")) == Unscored("program: gave None")
    # A column that other rows have is None here, not missing.
    assert _program(lambda level: level is None)(Answered(CASE, "")) == 1.0
    assert _program(functools.partial(mine, level=2))(Answered(CASE, "")) == 2.0


def test_a_column_that_isnt_there_is_named_with_those_that_are() -> None:
    def mine(answer: str, langs: str) -> bool:
        return True

    with pytest.raises(
        InputError, match=r"judges\.x: mine asks for 'langs'.*answer, .*columns: id, lang$"
    ):
        _program(mine).check_columns({"lang", "id"}, "judges.x")
    with pytest.raises(InputError, match="no columns"):
        _program(mine).check_columns((), "judges.x")


@pytest.mark.parametrize(
    ("function", "message"),
    [(lambda answer, /: 1, "answer can't be passed by name"), (dict, "can't be told|by name")],
)
def test_functions_that_cant_be_called_by_name(function: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _program(function)


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (True, 1.0),
        (0, 0.0),
        (np.float32(0.5), 0.5),
        (np.bool_(True), 1.0),
        (np.array(2), 2.0),
        (None, Unscored("program: gave None")),
        (float("nan"), Unscored("program: gave NaN")),
    ],
)
def test_what_it_may_give(value: Any, score: Any) -> None:
    assert _program(lambda: value)(Answered(CASE, "")) == score


@pytest.mark.parametrize(
    ("value", "message"),
    [("1", "program mine gave a str; "), ([1], "gave a list"), (float("inf"), "gave inf; ")],
)
def test_what_it_may_not_give(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _program(lambda: value)(Answered(CASE, ""))


# --- What it raises -----------------------------------------------------------------------------


def test_what_raises_on_one_answer_is_unscored_and_says_why() -> None:
    first = _program(lambda answer: answer.split()[0] == "An")
    assert first(Answered(CASE, "An answer")) == 1.0
    assert first(Answered(CASE, "")) == Unscored("program: IndexError: list index out of range")
    try_out({"judges.first": first}, [CASE])


def test_what_raises_on_all_answers_is_refused() -> None:
    def broken(answer: str) -> int:
        raise TypeError("no\nway")

    with pytest.raises(
        InputError,
        match=r"^judges\.b: mine raised on each of 5 made-up answers \(TypeError: no way\)",
    ):
        try_out({"judges.b": _program(broken)}, [CASE, Case("Without references?")])


def test_what_gives_no_grade_is_refused_before_as_well() -> None:
    with pytest.raises(InputError, match="gave a str"):
        try_out({"judges.b": _program(lambda answer: answer)}, [CASE])


def test_a_program_that_is_right_about_references_only_is_let_through() -> None:
    seen: list[str] = []

    def strict(answer: str) -> bool:
        seen.append(answer)
        if answer != "yes":
            raise ValueError("unreadable")
        return True

    try_out({"judges.b": _program(strict)}, [CASE])
    assert seen == ["", "An answer.", "yes"]


# --- The user's own files -----------------------------------------------------------------------


def test_a_users_function(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def short(answer, limit):\n    return len(answer.split()) <= limit\n")
    short = program(f"{file}:short", "judges.short", {"limit"})
    case = Case("Q?", columns={"limit": 2})
    assert [short(Answered(case, text)) for text in ("a b", "a b c")] == [1.0, 0.0]
    for name, message in [
        (f"{file}:shorter", "judges.short: .*mine.py: has no function 'shorter'"),
        (f"{tmp_path}/no.py:f", "judges.short: .*no such file; give path/to/file.py:function"),
        ("json_vald", "judges.short: unknown program 'json_vald'; did you mean 'json_valid'"),
    ]:
        with pytest.raises(InputError, match=message):
            program(name, "judges.short", {"limit"})
    with pytest.raises(InputError, match="asks for 'limit'"):
        program(f"{file}:short", "judges.short", {"limits"})
    file.write_text("raise SystemExit(3)")
    with pytest.raises(InputError, match=r"importing it failed \(SystemExit: 3\)"):
        program(f"{file}:short", "judges.short", {"limit"})
