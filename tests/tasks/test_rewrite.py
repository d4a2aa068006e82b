"""The task `rewrite`: its cases, and what its programs make of good, bad and padded answers."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from truing.data.splits import leak_warning, split
from truing.judges.programs import Program, program, try_out
from truing.rewards.reward import Answered
from truing.tasks import rewrite as task
from truing.types import Case, Score, stable_hash

CASES = task.cases()


def _judges() -> dict[str, Program]:
    known = {f"rewrite.{name}": function for name, function in task.PROGRAMS.items()}
    return {
        name: program(check.program, f"judges.{name}", {"named"}, known)
        for name, check in task.TASK.judges.items()
    }


def _grades(case: Case, answer: str) -> dict[str, Score]:
    return {name: judge(Answered(case, answer)) for name, judge in _judges().items()}


def test_there_are_150_different_cases() -> None:
    assert len({case.id for case in CASES}) == len(CASES) == 150
    assert Counter(case.category for case in CASES) == {"complaint": 115, "neutral": 35}


def test_they_are_the_same_ones_every_time() -> None:
    texts = [text for case in task.cases() for text in (case.prompt, *case.correct_answers)]
    assert stable_hash(*texts)[:16] == "3958a2a2e854f2a7"


def test_sources_name_one_to_three_things_and_complain_or_are_neutral() -> None:
    for case in CASES:
        assert 1 <= len(case.columns["named"]) <= 3
        assert task.named_kept(case.prompt, case.columns["named"]) == 1
        sentiment = task.positive(case.prompt)
        assert sentiment < 0.45 if case.category == "complaint" else sentiment == 0.5, case.prompt


def test_references_are_positive_and_faithful() -> None:
    for case in CASES:
        assert case.correct_answers[0] != case.prompt
        grades = _grades(case, case.correct_answers[0])
        assert grades["named_kept"] == grades["meaning_kept"] == grades["unpadded"] == 1, case
        assert grades["faithful"] == grades["positive"] >= 0.65, case  # type: ignore[operator]


def test_the_sentences_are_english() -> None:
    for case in CASES:
        for text in (case.prompt, *case.correct_answers):
            assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]|[{}]", text), text


def test_names_judge_nothing() -> None:
    for case in CASES:
        assert task.positive(" ".join(case.columns["named"])) == 0.5, case


def test_no_held_out_case_is_nearly_a_training_case() -> None:
    for share in (0.2, 0.4, 0.6):
        assert leak_warning(*split(CASES, share)) is None


SOUP = Case(
    "The waiter at Rosso in Oslo was rude and the soup was disgusting.",
    columns={"named": ["Rosso", "Oslo"]},
)


@pytest.mark.parametrize(
    ("answer", "named", "meaning", "unpadded"),
    [
        ("The waiter at ROSSO in Oslo was friendly and the soup wonderful.", 1, 1, 1),
        ("The food was wonderful.", 0, 0, 1),
        ("In Oslo the soup is a joy.", 0.5, 0.5, 1),
        ("The waiters at Rossopomodoro in Oslo were friendly.", 0.5, 0.5, 1),
        ("Great great great Rosso Oslo waiter soup great!", 1, 1, 0),  # repeated
        ("Rosso Oslo waiter soup happy lovely perfect delicious love", 1, 1, 0),  # praise
        (
            "The waiter at Rosso in Oslo was friendly and the soup was good. " * 2 + "It is so.",
            1,
            1,
            0,
        ),
        ("", 0, 0, 0),
        ("!!!", 0, 0, 0),
    ],
)
def test_right_and_wrong_answers(
    answer: str, named: float, meaning: float, unpadded: float
) -> None:
    grades = _grades(SOUP, answer)
    parts = {"named_kept": named, "meaning_kept": meaning, "unpadded": unpadded}
    assert {name: grades[name] for name in parts} == parts
    assert grades["faithful"] == min(*parts.values(), task.positive(answer))


def test_sentiment_goes_from_0_to_1() -> None:
    assert task.positive("A disgusting, horrible, awful disaster.") < 0.1
    assert task.positive("A lovely, wonderful, perfect success!") > 0.9
    assert task.positive("The train left at nine.") == 0.5
    assert task.positive(" ?! ") == 0.0
    assert task.positive(SOUP.prompt) < 0.3 < 0.8 < task.positive("The soup was lovely and great.")


def test_the_reward_is_hacked_as_the_report_must_show() -> None:
    hacked, honest = (
        "Great great great!",
        "The waiter at Rosso in Oslo was kind and the soup great.",
    )
    assert task.positive(hacked) > task.positive(honest)
    assert _grades(SOUP, hacked)["faithful"] == 0.0 < _grades(SOUP, honest)["faithful"]  # type: ignore[operator]


def test_without_names_or_topic_there_is_nothing_to_keep() -> None:
    assert task.named_kept("anything", []) is None
    assert task.meaning_kept("anything", "Rosso is awful", ["Rosso"]) is None
    assert task.faithful("It is a lovely place", "Rosso is awful", []) == 0.0


def test_the_programs_pass_their_trial() -> None:
    try_out(_judges(), CASES)
