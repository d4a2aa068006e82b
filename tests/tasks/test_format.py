"""The task `format`: its cases, and what its programs accept."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from truing.data.splits import leak_warning, split
from truing.judges.programs import Program, program, try_out
from truing.rewards.reward import Answered
from truing.tasks import format as task
from truing.types import stable_hash

CASES = task.cases()


def _judges() -> dict[str, Program]:
    known = {f"format.{name}": function for name, function in task.PROGRAMS.items()}
    return {
        name: program(check.program, f"judges.{name}", {"keys"}, known)
        for name, check in task.TASK.judges.items()
    }


def test_there_are_200_different_cases_of_five_kinds() -> None:
    assert len({case.id for case in CASES}) == len(CASES) == 200
    assert Counter(case.category for case in CASES) == dict.fromkeys(task.KINDS, task.EACH)


def test_they_are_the_same_ones_every_time() -> None:
    texts = [text for case in task.cases() for text in (case.prompt, *case.correct_answers)]
    assert stable_hash(*texts)[:16] == "0603db86b7e07302"


def test_every_value_stands_in_the_text() -> None:
    for case in CASES:
        text, keys = case.prompt.removeprefix("Text: ").split("\nKeys: ")
        values = json.loads(case.correct_answers[0])
        assert list(values) == case.columns["keys"] == keys.split(", ")
        assert all(str(value) in text for value in values.values()), case


def test_no_held_out_case_is_nearly_a_training_case() -> None:
    for share in (0.2, 0.4, 0.6):
        assert leak_warning(*split(CASES, share)) is None


def test_references_are_short_valid_and_right() -> None:
    for case in CASES:
        grades = {
            name: judge(Answered(case, case.correct_answers[0]))
            for name, judge in _judges().items()
        }
        assert grades == {"right": 1.0, "valid": 1.0}
        assert len(case.correct_answers[0]) <= 100


MOVE = CASES[0]
VALUES = json.loads(MOVE.correct_answers[0])


@pytest.mark.parametrize(
    ("answer", "valid", "right"),
    [
        (json.dumps(VALUES, indent=2), 1, 1),
        (json.dumps(dict(reversed(VALUES.items()))), 1, 1),
        (json.dumps(VALUES | {"year": float(VALUES["year"])}), 1, 1),
        (json.dumps(VALUES | {"year": str(VALUES["year"])}), 1, 0),
        (json.dumps(VALUES | {"city": "Atlantis"}), 1, 0),
        (json.dumps(dict.fromkeys(VALUES)), 1, 0),
        (json.dumps(VALUES | {"country": "Norway"}), 0, 0),
        (json.dumps({"name": VALUES["name"]}), 0, 0),
        (json.dumps([VALUES]), 0, 0),
        (json.dumps(VALUES).replace('"', "'"), 0, 0),
        (json.dumps(VALUES) + "\n" + json.dumps(VALUES), 0, 0),
        (f"```json\n{json.dumps(VALUES)}\n```", 0, 0),
        (json.dumps(VALUES)[:-1], 0, 0),
        ("", 0, 0),
    ],
)
def test_right_and_wrong_answers(answer: str, valid: int, right: int) -> None:
    asked = Answered(MOVE, answer)
    assert [_judges()[name](asked) for name in ("valid", "right")] == [valid, right]


def test_the_programs_pass_their_trial() -> None:
    try_out(_judges(), CASES)
