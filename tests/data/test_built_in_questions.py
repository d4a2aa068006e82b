"""The built-in questions are many, sourced, and can't be answered without knowing the facts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from truing.data.answer_only_baseline import bag_of_words_accuracy, longer_answer_accuracy
from truing.data.questions import control_file, load_questions
from truing.data.splits import leaks, near_duplicates, split
from truing.spec.run import DataSpec
from truing.types import Case, normalised


@pytest.fixture(scope="module")
def misconceptions() -> tuple[Case, ...]:
    return load_questions("built-in")


@pytest.fixture(scope="module")
def controls() -> tuple[Case, ...]:
    return control_file("built-in").cases


def test_enough_misconceptions(misconceptions: tuple[Case, ...]) -> None:
    assert len(misconceptions) >= 240
    categories = Counter(case.category for case in misconceptions)
    assert "" not in categories
    assert len(categories) >= 20


def test_enough_controls(controls: tuple[Case, ...]) -> None:
    assert len(controls) >= 120
    assert all(case.category for case in controls)


def test_every_question_has_answers_and_a_source(
    misconceptions: tuple[Case, ...], controls: tuple[Case, ...]
) -> None:
    for case in (*misconceptions, *controls):
        assert len(case.correct_answers) >= 3, case.prompt
        assert len(case.incorrect_answers) >= 3, case.prompt
        assert case.source, case.prompt
        assert case.prompt.endswith("?"), case.prompt


def test_no_near_duplicates(misconceptions: tuple[Case, ...], controls: tuple[Case, ...]) -> None:
    pairs = near_duplicates([*misconceptions, *controls])
    assert not [(a.prompt, b.prompt, round(likeness, 2)) for a, b, likeness in pairs]


def test_nothing_leaks_across_the_default_split(misconceptions: tuple[Case, ...]) -> None:
    train, held = split(misconceptions, DataSpec().held_out)
    assert len(held) >= 0.35 * len(misconceptions)
    assert not leaks(train, held)


def test_answers_alone_do_not_tell_the_truth(misconceptions: tuple[Case, ...]) -> None:
    assert bag_of_words_accuracy(misconceptions) <= 0.65


def test_length_does_not_tell_the_truth(misconceptions: tuple[Case, ...]) -> None:
    longer = longer_answer_accuracy(misconceptions)
    assert 0.40 <= longer <= 0.60


def test_the_best_answer_is_not_told_by_its_length(misconceptions: tuple[Case, ...]) -> None:
    """MC1 asks for the best answer, so its length must not stand out either."""
    best_only = [
        Case(case.prompt, case.correct_answers[:1], case.incorrect_answers)
        for case in misconceptions
    ]
    assert 0.35 <= longer_answer_accuracy(best_only) <= 0.65


def test_no_question_is_taken_from_truthfulqa(
    misconceptions: tuple[Case, ...], controls: tuple[Case, ...], shared_data: Path
) -> None:
    benchmark = load_questions(shared_data / "truthfulqa" / "TruthfulQA_v1.csv")
    theirs = {normalised(case.prompt) for case in benchmark}
    ours = {normalised(case.prompt) for case in (*misconceptions, *controls)}
    assert not ours & theirs
