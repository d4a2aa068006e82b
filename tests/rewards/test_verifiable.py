"""Rewards that hold an answer against what the case says is right."""

from __future__ import annotations

from typing import Any

import pytest

from truing.rewards.json_values import check_schema, fits
from truing.rewards.mixture import check_reward
from truing.rewards.program import program
from truing.rewards.reward import Answered, scored
from truing.spec.reward import RewardSpec
from truing.types import Case, InputError, Score, Unscored


def _scores(
    name: str, answers: list[str], right: Any, known: tuple[str, ...] = (), **options: Any
) -> list[Score]:
    case = Case("Q?", known, columns={"right": right})
    return scored(
        program(name, options, "here", ["right"]), [Answered(case, answer) for answer in answers]
    )


def test_exact() -> None:
    answers = ["Paris", " paris. ", "PARIS", "Paris, France", ""]
    assert _scores("exact", answers, "Paris", column="right") == [1.0, 1.0, 1.0, 0.0, 0.0]
    assert _scores("exact", answers, "Paris", column="right", strict=True) == [1, 0, 0, 0, 0]
    assert _scores("exact", ["b", "a", "c"], ["a", "b"], column="right") == [1.0, 1.0, 0.0]
    assert _scores("exact", ["42", "42.0"], 42.0, column="right") == [1.0, 0.0]
    assert _scores("exact", ["yes", "no"], None, ("Yes", "Yes, it is")) == [1.0, 0.0]


def test_number() -> None:
    answers = ["It is 1,200.", "$1200.00", "1199, no: 1200", "1200 - 1 = 1199", "none", "−1200"]
    expected = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    for right in (1200, 1200.0, "1,200", "so many: 3. #### 1200", ["1200 km", "7"]):
        assert _scores("number", answers, right, column="right") == expected
    only = _scores("number", ["1200, so 1200", "1199 or 1200"], 1200, column="right", take="only")
    assert only == [1.0, 0.0]
    halves = _scores("number", ["1/2", "0.5", "½", r"\frac{1}{2}", "1/3"], "1/2", column="right")
    assert halves == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_a_tolerance_is_exact_in_decimals() -> None:
    near = {"column": "right", "tolerance": 0.1}
    assert _scores("number", ["0.3", "0.1", "0.301"], 0.2, **near) == [1.0, 1.0, 0.0]
    share = {"column": "right", "relative": 0.01, "tolerance": 0.5}
    assert _scores("number", ["101", "99", "101.1"], -100, **share) == [0.0, 0.0, 0.0]
    assert _scores("number", ["-101", "-99", "-101.1"], -100, **share) == [1.0, 1.0, 0.0]
    assert _scores("number", ["0.5", "0.6"], 0, **share) == [1.0, 0.0]


def test_json() -> None:
    answers = [
        '{"a": 1, "b": [true]}',
        '{"b": [true], "a": 1.0}',
        '{"a": 1}',
        "[1",
        "",
        "NaN",
        '"a"',
    ]
    assert _scores("json", answers, None) == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert _scores("json", answers, None, required=["a", "b"]) == [1.0, 1.0, 0, 0, 0, 0, 0]
    wanted = {"a": 1, "b": [True]}
    for right in (wanted, '{"a": 1, "b": [true]}'):
        assert _scores("json", answers, right, column="right") == [1.0, 1.0, 0, 0, 0, 0, 0]
    fenced = ["So:\n```json\n{}\n```\n", "{}", "```\n{\n```"]
    assert _scores("json", fenced, None, fenced=True) == [1.0, 1.0, 0.0]
    assert _scores("json", fenced, None) == [0.0, 1.0, 0.0]
    least = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 1}},
        "required": ["b"],
    }
    assert _scores("json", answers, None, schema=least) == [1.0, 1.0, 0, 0, 0, 0, 0]
    deep = "[" * 100_000
    assert _scores("json", [deep, "1e999", "9" * 5000], None, schema={"type": "integer"}) == [
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    "answer", ["[" * 900 + "]" * 900, '{"a":' * 101 + "1" + "}" * 101, "2e999"]
)
def test_json_that_programs_can_not_hold_has_a_reason(answer: str) -> None:
    assert _scores("json", [answer], [1], column="right") == [0.0]
    [score] = _scores("json", ["1"], answer, column="right")
    assert isinstance(score, Unscored) and "is no JSON" in score.reason
    deepest = "[" * 100 + "]" * 100
    assert _scores("json", [deepest, "1"], deepest, column="right") == [1.0, 0.0]


@pytest.mark.parametrize(
    ("value", "schema", "fitting"),
    [
        (1, {"type": "integer"}, True),
        (1.0, {"type": "integer"}, True),
        (1.5, {"type": "integer"}, False),
        (10**400, {"type": "integer"}, True),
        (True, {"type": "number"}, False),
        (None, {"type": ["string", "null"]}, True),
        ("b", {"enum": ["a", "b"]}, True),
        (1, {"const": True}, False),
        ([1, "x"], {"items": {"type": "number"}}, False),
        ([1], {"minItems": 2}, False),
        ("abc", {"maxLength": 2}, False),
        (3, {"maximum": 2}, False),
        ({"a": 1, "b": 2}, {"properties": {"a": {}}, "additionalProperties": False}, False),
        ({"a": {"b": "x"}}, {"properties": {"a": {"properties": {"b": {"type": "null"}}}}}, False),
        ({}, {"properties": {"a": {"type": "null"}}}, True),
    ],
)
def test_what_fits_a_schema(value: Any, schema: dict[str, Any], fitting: bool) -> None:
    check_schema(schema)
    assert fits(value, schema) is fitting


@pytest.mark.parametrize(
    ("name", "options", "right", "reason"),
    [
        ("exact", {"column": "right"}, None, "the case has no 'right'"),
        ("exact", {"column": "right"}, [], "the case's 'right' is empty"),
        ("exact", {}, "x", "the case has no references"),
        ("number", {"column": "right"}, "", "the case has no 'right'"),
        ("number", {"column": "right"}, "many", "the case's reference holds no number"),
        ("json", {"column": "right"}, "{", "the case's 'right' is no JSON"),
        ("json", {"column": "right"}, None, "the case has no 'right'"),
        ("matches", {"column": "right"}, None, "the case has no 'right'"),
        ("unit_tests", {"column": "right", "run_code": True}, None, "the case has no 'right'"),
        ("unit_tests", {"column": "right", "run_code": True}, [], "the case has no tests"),
    ],
)
def test_without_a_reference_there_is_no_score(
    name: str, options: dict[str, Any], right: Any, reason: str
) -> None:
    (score,) = _scores(name, ["1"], right, **options)
    assert isinstance(score, Unscored) and reason in score.reason


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("exact", {"column": "rihgt"}, r"here\.column: no column 'rihgt' .*did you mean 'right'"),
        ("exact", {"colum": "right"}, r"here\.colum: .*options of exact: column, strict"),
        ("number", {"tolerance": -1}, r"here\.tolerance: .*greater than or equal to 0"),
        ("number", {"take": "first"}, r"here\.take: .*'last' or 'only'"),
        ("number", {"tolerance": float("nan")}, r"here\.tolerance: .*finite"),
        (
            "json",
            {"schema": {"type": "text"}},
            r"here\.schema: schema\.type: must be one or a list",
        ),
        ("json", {"schema": {"pattern": "a"}}, r"here\.schema: schema\.pattern: not understood"),
        ("json", {"schema": {"items": {"enum": 3}}}, r"schema\.items\.enum: must be a list"),
        ("json", {"schema": 3}, r"here\.schema: .*dictionary"),
        ("matches", {}, "here: give either pattern or column"),
        ("matches", {"pattern": "a", "column": "right"}, "here: give either pattern or column"),
        ("matches", {"pattern": "("}, r"here\.pattern: not a regular expression"),
        ("unit_tests", {"column": "right"}, "here: runs what the model wrote .*run_code: true"),
        ("unit_tests", {"run_code": True}, r"here\.column: Field required"),
        ("unit_tests", {"column": "right", "run_code": True, "seconds": 0}, r"here\.seconds"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        program(name, options, "here", ["right"])


def test_prompts_without_any_reference_are_refused_before_training() -> None:
    spec = RewardSpec.model_validate(
        {"parts": [{"name": "length", "target": 2}, {"name": "number"}]}
    )
    with pytest.raises(InputError, match=r"reward\.parts\.1: number holds answers against ref"):
        check_reward(spec, [Case("Q?"), Case("R?")])
    check_reward(spec, [Case("Q?"), Case("R?", ("7",))])


@pytest.mark.parametrize(
    ("part", "case", "message"),
    [
        (
            {"name": "number"},
            Case("Q?", ("a lot",)),
            r"gives no score for any of 2 .*holds no number",
        ),
        (
            {"name": "number", "column": "right"},
            Case("Q?", columns={"right": "many"}),
            r"no number\); the column 'right' must say what is right for some",
        ),
        (
            {"name": "exact", "column": "right"},
            Case("Q?", columns={"right": ""}),
            r"no score for any",
        ),
    ],
)
def test_references_that_no_case_has_in_a_readable_form_are_refused_before_training(
    part: dict[str, Any], case: Case, message: str
) -> None:
    spec = RewardSpec.model_validate({"parts": [part]})
    with pytest.raises(InputError, match=message):
        check_reward(spec, [case, case])
