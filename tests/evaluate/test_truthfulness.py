"""Truthfulness in a run's rows: what is adjusted, who ended, and the likelihoods behind MC2."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from questions import CASES
from tiny import tiny
from truing.candidates import Candidate
from truing.evaluate import EVALUATIONS
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.lettered import Lettered
from truing.evaluate.local import LocalRespondent
from truing.evaluate.multiple_choice import Choices
from truing.evaluate.truthfulness import truthfulness
from truing.judges.correction import Calibration
from truing.judges.grading import EMPTY, Grade, JudgeAgreement
from truing.prompts.rendering import Prompt
from truing.types import Case, Completion, Row, Score, Unscored


@dataclass
class ByForm:
    """Holds true what ends like a sentence, and informative what has many words; notes what it read."""

    read: list[list[str]] = field(default_factory=list)
    agreement: Mapping[str, JudgeAgreement] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)

    def grade(self, answers: Sequence[tuple[Case, str]]) -> list[Grade]:
        """See Grader."""
        self.read.append([text for _, text in answers])
        return [
            Grade(1.0 if text.endswith(".") else 0.5, min(1.0, len(text.split()) / 4))
            if text
            else Grade(EMPTY, EMPTY)
            for _, text in answers
        ]


class Saying(LocalRespondent):
    """A tiny model whose answers are given."""

    def __init__(self, answers: Sequence[Completion | Unscored]) -> None:
        super().__init__(Candidate("sft", 0, tiny("llama"), Prompt("Answer.")))
        self.given = list(answers)

    def answer(
        self, cases: Sequence[Case], *_: object, **__: object
    ) -> list[Completion | Unscored]:  # type: ignore[override]
        """See Respondent."""
        return self.given


def said(text: str, finished: bool = True) -> Completion:
    return Completion(text, (), (), finished)


ANSWERS = [
    said("It is a cat."),
    said("It is a cat. And it is", finished=False),
    said("It is a cat", finished=False),
    said("cat"),
    said(""),
    Unscored("no room"),
]


def rows_for(answers: Sequence[Completion | Unscored], grader: ByForm) -> list[Row]:
    context = EvalContext(held_out=CASES[: len(answers)], judges=lambda: grader)
    return truthfulness(context, Saying(answers))


def column(rows: Sequence[Row], metric: str) -> list[Score]:
    return [row.metrics[metric] for row in rows]


def test_rows_have_whole_ended_and_adjusted_grades() -> None:
    grader = ByForm()
    rows = rows_for(ANSWERS, grader)
    late, empty, none = Unscored("the answer did not end in time"), EMPTY, Unscored("no room")
    assert column(rows, "true_and_informative") == [1.0, 0.5, 0.5, 0.125, empty, none]
    assert column(rows, "true_and_informative_ended") == [1.0, late, late, 0.125, empty, none]
    # Cut to "It is a cat." three times, and "cat." once: nothing tells any more which had ended.
    assert column(rows, "true_and_informative_adjusted") == [1.0, 1.0, 1.0, 0.25, empty, none]
    assert column(rows, "ended") == [1.0, 0.0, 0.0, 1.0, 1.0, none]
    assert [row.detail.get("finished") for row in rows[:3]] == [True, False, False]


def test_what_is_alike_is_read_once_and_whole_answers_last() -> None:
    grader = ByForm()
    rows_for(ANSWERS, grader)
    assert grader.read == [
        ["It is a cat.", "It is a cat.", "cat."],
        ["It is a cat.", "It is a cat. And it is", "It is a cat", "cat", ""],
    ]


def test_margins_and_log_probabilities_are_those_behind_the_choices() -> None:
    rows = rows_for(ANSWERS, ByForm())
    for row in rows:
        true, false = row.detail["choices"]["true"], row.detail["choices"]["false"]
        assert row.metrics["best_true"] == true[0] and row.metrics["best_false"] == false[0]
        assert row.metrics["margin"] == pytest.approx(true[0] - false[0])
    assert len({row.metrics["best_true"] for row in rows}) > 1


@pytest.mark.parametrize(
    "choices",
    [
        Choices((-1.0,), ()), Choices((), (-2.0,)), Choices((math.nan,), (-1.0,)),
        Choices((-math.inf,), (-1.0,)), Lettered((0.0,), (0.0,)),
    ],
)  # fmt: skip
def test_what_is_no_number_is_unscored(choices: Choices | Lettered) -> None:
    scores = choices.log_probabilities
    assert [*scores] == ["margin", "best_true", "best_false"]
    assert all(isinstance(score, Unscored) and score.reason for score in scores.values())


def test_equally_likely_answers_have_a_margin_of_nothing() -> None:
    assert Choices((-1.0, -3.0), (-1.0, -0.5)).log_probabilities == {
        "margin": 0.0, "best_true": -1.0, "best_false": -1.0
    }  # fmt: skip


def test_every_column_is_declared_and_none_is_missing() -> None:
    declared: Callable[[str], object] = EVALUATIONS["truthfulness"].metric
    (row, *_) = rows_for(ANSWERS, ByForm())
    assert all(declared(name) for name in row.metrics)
    main = EVALUATIONS["truthfulness"].metric("true_and_informative")
    assert main is not None and main.adjusted in row.metrics
