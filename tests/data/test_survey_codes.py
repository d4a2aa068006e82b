"""Respondents' answers that don't fit their codebook, and numbers too large to count with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from truing.data.survey import Survey, read_survey
from truing.types import InputError

BOOK = """
responses: answers.csv
weight: wt
questions:
  good: {question: 'How good is it?', options: {1: Good, 2: Bad}, scale: equal}
groups:
  party: {1: Red, 2: Blue}
"""
HEAD = "good,party,wt\n"
SOUND = "1,1,1\n2,1,0.5\n" * 5 + "1,2,1\n" * 6


def surveyed(folder: Path, answers: str, book: str = BOOK) -> Survey:
    (folder / "book.yaml").write_text(book, "utf-8")
    (folder / "answers.csv").write_text(answers, "utf-8")
    return read_survey(folder / "book.yaml")


def refused(folder: Path, answers: str, book: str = BOOK) -> str:
    with pytest.raises(InputError) as raised:
        surveyed(folder, answers, book)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("weight", ["1e308", "1e101", "1e-101", "1e400"])
def test_a_weight_that_overflows_is_refused_by_line(tmp_path: Path, weight: str) -> None:
    message = refused(tmp_path, f"{HEAD}1,1,1\n1,1,{weight}\n2,2,{weight}\n")
    assert "answers.csv:3: wt" in message and weight in message


def test_large_weights_are_counted_with(tmp_path: Path) -> None:
    answers = HEAD + "1,1,1e99\n2,1,1e99\n" * 5
    (question,) = surveyed(tmp_path, answers).questions
    everybody = question.groups["overall"]["everybody"]
    assert everybody.shares == (0.5, 0.5) and everybody.n == pytest.approx(10)


def test_groups_that_the_codebook_does_not_know_are_named_and_counted(tmp_path: Path) -> None:
    survey = surveyed(tmp_path, f"{HEAD}{SOUND}1,7,1\n2,7,1\n1,8,1\n1,,1\n")
    assert [(place.rpartition("/")[2], reason) for place, reason in survey.unscored] == [
        (
            "book.yaml groups.party",
            "3 respondent(s) of a group that the codebook doesn't know (such as '7')",
        )
    ]
    assert survey.questions[0].groups["party"].keys() == {"Red", "Blue"}
    assert survey.questions[0].groups["overall"]["everybody"].n == pytest.approx(18.0, rel=0.1)


def test_a_column_of_groups_that_is_another_is_implausible(tmp_path: Path) -> None:
    survey = surveyed(tmp_path, HEAD + "1,x,1\n2,y,1\n" * 5)
    (reason,) = [reason for place, reason in survey.unscored if "groups.party" in place]
    assert reason.startswith("implausible: 10 respondent(s)") and "mis-joined" in reason
    assert survey.questions[0].groups.keys() == {"overall"}


def test_nobody_is_said_as_such(tmp_path: Path) -> None:
    assert "answers.csv: a header and no respondent" in refused(tmp_path, HEAD)
    message = refused(tmp_path, f"{HEAD}1,1,0\n2,2,0\n1,2,\n")
    assert "answers.csv: wt: all 3 respondents have weight 0 or none" in message


def test_a_broken_codebook_is_named_and_not_a_string(tmp_path: Path) -> None:
    message = refused(tmp_path, HEAD, "responses: [answers.csv\nquestions: {")
    assert "book.yaml: not valid YAML" in message and "unicode string" not in message
    assert "in line 2" in message


QUESTION = {
    "question": "How good is it?",
    "options": ["Good", "Middling", "Bad"],
    "groups": {"country": {"Spain": {"shares": [0.5, 0.3, 0.2], "n": 100}}},
}


def of_lines(folder: Path, *lines: str) -> Survey:
    file = folder / "survey.jsonl"
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return read_survey(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": [-1e308, 0, 1e308]}, "can't be counted with"),
        ({"scale": [0, 1e-300, 2e-300]}, "can't be counted with"),
        ({"groups": {"c": {"x": {"shares": [0.5, 0.3, 0.2], "n": 1e308}}}}, "fewer in the world"),
        ({"groups": {"c": {"x": {"shares": [1e308, 1e308, 0], "n": 9}}}}, "sum to inf"),
    ],
)
def test_numbers_too_large_are_left_out_with_a_reason(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    survey = of_lines(tmp_path, json.dumps(QUESTION), json.dumps({**QUESTION, **change}))
    assert len(survey.questions) == 1
    assert words in " ".join(reason for _, reason in survey.unscored)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("[1, 2]", "survey.jsonl:2: a list where an object belongs; give one object for each row"),
        (json.dumps({**QUESTION, "question": None}), "question: must be text, not null"),
        (json.dumps({**QUESTION, "options": ["a", 3]}), "options: must be text, not a number"),
        (json.dumps({**QUESTION, "question": "a\0b"}), "can be neither kept nor shown"),
    ],
)
def test_a_wrong_line_says_what_stands_there(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(InputError) as raised:
        of_lines(tmp_path, json.dumps(QUESTION), line)
    assert words in str(raised.value) and '{"prompt"' not in str(raised.value)
