"""Rows and questions that are in no figure are counted and said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from truing.recipes.report import task_metrics
from truing.report.counts import fewer, on_constant_rewards, on_counts
from truing.report.measured import measure
from truing.spec.task import TaskSpec
from truing.types import InputError, Row, Unscored

TASK = task_metrics(TaskSpec())
EMPTY, LATE = Unscored("empty answer"), Unscored("the answer did not end in time")


def row(candidate: str, case: int, seed: int = 0, **metrics: Any) -> Row:
    return Row(candidate, seed, "truthfulness", f"q{case}", metrics)


def said(rows: list[Row], name: str) -> list[str]:
    measured = measure(rows, ["base", "sft"], TASK)
    return [finding.text for finding in on_counts(measured) if finding.candidate == name]


def test_what_is_unscored_is_said_with_its_reasons_and_like_metrics_together() -> None:
    rows = [
        row("base", 0, mc2=0.5, true=EMPTY, informative=EMPTY),
        row("base", 1, mc2=0.5, true=EMPTY, informative=EMPTY),
        row("base", 2, mc2=LATE, true=0.1, informative=0.1),
        row("base", 3, mc2=EMPTY, true=0.1, informative=0.1),
        row("base", 4, mc2=EMPTY, true=0.1, informative=0.1),
    ]
    assert said(rows, "base") == [
        "base: rows that could not be scored were left out: 3 of MC2 (empty answer: 2, the answer did "
        "not end in time: 1); 2 of True and Informative (empty answer)."
    ]


def test_without_a_known_reason_there_are_no_parentheses() -> None:
    """A figure that is computed from several rows has no row's reason."""
    measured = measure([row("base", 0, mc2=0.5)], ["base"], TASK)
    key = ("truthfulness", "mc2")
    values = {"base": {key: replace(measured.values["base"][key], unscored=2)}}
    (finding,) = on_counts(replace(measured, values=values))
    assert finding.text == "base: rows that could not be scored were left out: 2 of MC2."


def test_questions_scored_on_one_side_are_said() -> None:
    rows = [row("base", case, mc1=1.0, mc2=0.5) for case in range(4)]
    rows += [row("sft", case, mc1=1.0, mc2=0.5 if case else EMPTY) for case in range(4)]
    rows.append(row("sft", 4, mc1=0.0))
    assert said(rows, "sft")[1:] == [
        "sft: compared with base where both have a score: MC1 on 4 of 5 questions; MC2 on 3 of 4 "
        "questions. The others have it on one side only."
    ]
    assert said(rows[:4], "base") == []


def test_candidates_of_which_the_same_is_to_be_said_stand_together() -> None:
    rows = [row(name, case, mc1=1.0, mc2=EMPTY) for name in ("base", "sft") for case in range(4)]
    (finding,) = on_counts(measure(rows, ["base", "sft"], TASK))
    assert finding.candidate == ""
    assert finding.text == (
        "base and sft: rows that could not be scored were left out: 4 of MC2 (empty answer)."
    )


def test_rows_that_stand_twice_are_said_and_seeds_are_no_repetition() -> None:
    rows = [row("sft", case, seed, mc2=0.5) for case in range(3) for seed in range(2)]
    assert said(rows, "sft") == []
    (text,) = said([*rows, *rows[:2]], "sft")
    assert text.startswith("sft: 2 rows stand there more than once")


def test_what_stands_twice_is_counted_once() -> None:
    rows = [row("sft", 0, mc2=EMPTY), row("sft", 1, mc2=0.5)]
    counts = measure([*rows, *rows], ["sft"], TASK).counts["sft"]
    assert counts.repeated == 2 and counts.unscored(("truthfulness", "mc2")) == 1


@pytest.mark.parametrize("value", [7.5, -0.1])
def test_a_share_that_is_none_is_refused(value: float) -> None:
    rows = [row("sft", 0, mc1=value, best_true=-80.0)]
    with pytest.raises(
        InputError, match=r"rows/truthfulness: sft, case q0: mc1 is .*between 0 and 1"
    ):
        measure(rows, ["sft"], TASK)
    assert measure([row("sft", 0, mc1=1.0 + 1e-9)], ["sft"], TASK).value(
        "sft", "truthfulness", "mc1"
    )


def test_every_row_is_in_a_figure_or_counted() -> None:
    rows = [row("sft", case, seed, mc2=0.5 if (case + seed) % 3 else EMPTY)
            for case in range(10) for seed in range(2)]  # fmt: skip
    measured = measure(rows, ["sft"], TASK)
    counts = measured.counts["sft"]
    scored = sum(isinstance(each.metrics["mc2"], float) for each in rows)
    assert scored + counts.unscored(("truthfulness", "mc2")) == len(rows) == 20
    assert counts.cases == {"truthfulness": 10} and counts.repeated == 0
    value = measured.value("sft", "truthfulness", "mc2")
    assert value is not None and value.unscored == counts.unscored(("truthfulness", "mc2")) > 0


def test_a_metric_of_some_cases_says_of_how_many() -> None:
    rows = [row("sft", case, mc1=1.0, **({"mc2": 0.5} if case < 3 else {})) for case in range(8)]
    measured = measure(rows, ["sft"], TASK)
    values = measured.values["sft"].items()
    partial = {
        key[1]: fewer(measured, "sft", measured.task.metric_of(*key), each) for key, each in values
    }
    assert partial == {"mc1": "", "mc2": "3 of 8"}
    by_nature = replace(measured.task.metric_of("truthfulness", "mc2"), of_some=True)
    assert fewer(measured, "sft", by_nature, measured.values["sft"]["truthfulness", "mc2"]) == ""


@pytest.mark.parametrize(
    ("constant", "text"),
    [(0, ""), (2, "In 2 of 6 steps of reinforcement learning"), (6, "In every step of reinf")],
)
def test_steps_whose_answers_all_got_one_reward(constant: int, text: str) -> None:
    lines = [{"step": n, **({"constant_reward": 1.0} if n < constant else {})} for n in range(6)]
    found = on_constant_rewards({0: lines[:3], 1: lines[3:]})
    assert [finding.text.startswith(text) for finding in found] == ([True] if constant else [])
