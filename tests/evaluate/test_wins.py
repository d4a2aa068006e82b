"""Win rates against the base: counted by case, at equal lengths too, in a report as in `truing eval`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from questions import CASES
from tiny import tiny
from truing.candidates import Candidate
from truing.evaluate.evaluation import EvalContext
from truing.evaluate.local import LocalRespondent
from truing.evaluate.wins import CONTROLLED, LONGER_BY, WINS
from truing.prompts.rendering import Prompt
from truing.recipes.report import task_metrics
from truing.report.measured import measure
from truing.rewards.reward import Answered
from truing.spec.task import CheckSpec, TaskSpec
from truing.statistics.win_rate import length_controlled_win_rate
from truing.types import Completion, Row, Score, Unscored

TASK = TaskSpec(
    name="vowels",
    judges={"vowels": CheckSpec(program="contains"), "one": CheckSpec(program="contains")},
    evaluations=("wins",),
    headline=("wins.vowels_length_controlled",),
    must_not_fall={},
)


def vowels(answered: Answered) -> Score:
    count = sum(answered.answer.count(letter) for letter in "aeiou")
    return Unscored("silent") if answered.case == CASES[1] else float(count)


def context(base: LocalRespondent | Unscored) -> EvalContext:
    graders = {"vowels": vowels, "one": lambda answered: 1.0}
    return EvalContext(
        held_out=CASES, max_new_tokens=12, graders=lambda: graders, base=lambda: base
    )


@pytest.fixture(scope="module")
def sides() -> tuple[LocalRespondent, LocalRespondent]:
    base = LocalRespondent(Candidate("base", 0, tiny(), Prompt()))
    return LocalRespondent(Candidate("ours", 0, tiny(seed=1), Prompt())), base


def test_a_case_is_won_where_the_grade_is_higher(
    sides: tuple[LocalRespondent, LocalRespondent],
) -> None:
    ours, base = sides
    rows = WINS.measure(context(base), ours)
    answers = [side.answer(CASES, 12) for side in sides]
    for row, case, mine, its in zip(rows, CASES, *answers, strict=True):
        assert isinstance(mine, Completion) and isinstance(its, Completion)
        grades = [vowels(Answered.of(case, each)) for each in (mine, its)]
        if case == CASES[1]:
            assert row.metrics["vowels"] == Unscored("silent")
        else:
            assert (
                row.metrics["vowels"] == (1 + (grades[0] > grades[1]) - (grades[0] < grades[1])) / 2
            )  # type: ignore[operator]
        assert row.metrics["one"] == 0.5
        assert row.detail[LONGER_BY] == len(mine.text.strip()) - len(its.text.strip())
    assert {row.metrics["vowels"] for row in rows} > {1.0, 0.0}


def test_without_a_base_or_an_answer_nobody_wins(
    sides: tuple[LocalRespondent, LocalRespondent], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, base = sides
    assert WINS.measure(context(Unscored("no base")), ours)[0].metrics["one"] == Unscored("no base")
    mute = replace(ours)
    monkeypatch.setattr(mute, "answer", lambda cases, most, **_: [Unscored("mute")] * len(cases))
    rows = WINS.measure(context(base), mute)
    assert {row.metrics["one"] for row in rows} == {Unscored("mute")}
    assert rows[0].detail["answer"] is None and rows[0].detail[LONGER_BY] is None


def row(name: str, case: str, win: Score, longer_by: int | None, seed: int = 0) -> Row:
    return Row(name, seed, "wins", case, {"vowels": win}, "", {LONGER_BY: longer_by})


def test_the_report_has_the_rate_at_equal_lengths_and_its_distance_from_a_half() -> None:
    wins, longer = [1.0, 1.0, 0.5, 0.0, 1.0, 1.0], [30, 20, 0, -10, -5, 12]
    rows = [row("base", str(n), 0.5, 0) for n in range(6)]
    rows += [row("ours", str(n), w, d) for n, (w, d) in enumerate(zip(wins, longer, strict=True))]
    rows.append(row("ours", "unscored", Unscored("x"), None))
    found = measure(rows, ("base", "ours"), task_metrics(TASK))
    wanted = length_controlled_win_rate(wins, longer, unscored=1)
    key = ("wins", f"vowels{CONTROLLED}")
    assert found.values["ours"][key] == wanted
    assert found.values["base"][key].value == 0.5
    distance = found.difference("ours", *key)
    assert distance is not None and wanted.value is not None and wanted.low is not None
    assert distance.value == pytest.approx(wanted.value - 0.5)
    assert distance.low == pytest.approx(wanted.low - 0.5) and distance.unscored == 1
    plain = found.difference("ours", "wins", "vowels")
    assert plain is not None and plain.value == pytest.approx(0.25)


def test_seeds_of_a_case_weigh_as_one() -> None:
    rows = [row("ours", "a", 1.0, 10, seed=n) for n in range(3)]
    rows += [row("ours", "b", 0.0, -10), row("ours", "c", 1.0, -4)]
    assert WINS.from_rows is not None
    found = WINS.from_rows(rows, 5)[f"vowels{CONTROLLED}"]
    assert found == length_controlled_win_rate([1.0, 0.0, 1.0], [10.0, -10.0, -4.0], seed=5)
