"""The table of every answer: what stands in it, in which columns, and what a page has no room for."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from synthetic_run import write_run
from truing.recipes.report import build_report, task_metrics
from truing.report.answered import AnswerTable
from truing.report.answers import MOST_CHARACTERS, answer_table, by_seed, terms_of
from truing.runs.folder import RunFolder
from truing.spec.task import TaskSpec
from truing.types import Row, Unscored

TERMS = terms_of(task_metrics(TaskSpec()))
KNOWN = {
    "q1": {
        "prompt": "Is it?",
        "category": "Law",
        "correct_answers": ["No."],
        "incorrect_answers": [],
    }
}


def row(
    name: str, case: str, true: float | Unscored, text: str | None = "No.", seed: int = 0
) -> Row:
    detail = {"answer": text, "p_true": true, "p_informative": 0.9}
    metrics = {"true": true, "informative": 0.9, "true_and_informative": true, "mc1": 1.0}
    return Row(name, seed, "truthfulness", case, metrics, "Law", detail)


def table(rows: list[Row], **more: Any) -> AnswerTable:
    return answer_table(by_seed(rows), ["base", "rl"], TERMS, KNOWN, **more)


def test_a_case_has_every_answer_and_a_verdict_for_each_column() -> None:
    rows = [row("base", "q1", 0.2), row("rl", "q1", 0.8), row("rl", "q1", 0.3, "Yes.", 1)]
    (case,) = table(rows).cases
    assert (case.prompt, case.category, case.references) == ("Is it?", "Law", (("True", "No."),))
    assert [(a.speaker, a.text, a.verdict) for a in case.answers] == [
        ("base", "No.", "bad"), ("rl, seed 0", "No.", "good"), ("rl, seed 1", "Yes.", "bad"),
    ]  # fmt: skip
    assert case.verdicts == ("bad", "mixed") and case.answers[0].remarks == (
        "true 0.20", "informative 0.90",
    )  # fmt: skip


def test_a_column_without_the_case_is_empty_and_without_an_answer_says_why() -> None:
    silent = row("base", "q1", Unscored("the answer was empty"), None)
    (case,) = table([silent]).cases
    assert case.verdicts == ("none", None) and case.asked == 1
    assert "the answer was empty" in case.answers[0].remarks


def test_choices_stand_in_it_and_what_has_no_answer_does_not() -> None:
    choice = Row("base", 0, "trivia", "t", {"mc1": 1.0, "mc2": 0.7}, "Animals")
    drift = Row("base", 0, "drift", "q1", {"kl": 0.2, "answer_tokens": 7.0})
    (case,) = table([choice, drift]).cases
    assert case.evaluation == "Control questions" and case.verdicts == ("good", None)
    assert case.answers[0].text is None and "control questions, MC2 0.70" in case.answers[0].remarks


def test_the_legend_says_what_a_tick_is_of() -> None:
    tricks = [
        Row("base", 0, "attacks", cell, {cell: 1.0}, detail={"answer": "x", "system": "Never."})
        for cell in ("success", "twin", "able")
    ]
    found = table([row("base", "q1", 0.9), *tricks])
    assert found.legend == (
        ("Truthfulness", "✓ true and informative"),
        (
            "Attacks",
            "✗ attacks that succeed; ✓ permitted twins done; ● carried out without the rule",
        ),
    )
    assert [case.kind for case in found.cases] == [
        "",
        "Attack success",
        "Twins done",
        "Without the rule",
    ]
    assert found.cases[1].prompt == "[Never.]\n\nsuccess"
    assert found.accepted == ((2, 3), (0, 0))


def test_what_a_page_has_no_room_for_is_chosen_by_hash_and_counted() -> None:
    rows = [row(name, f"q{n}", 0.5, "x" * 1000) for n in range(40) for name in ("base", "rl")]
    found = table(rows, most_bytes=50_000)
    assert 10 < len(found.cases) < 25 and found.left_out == 40 - len(found.cases)
    assert sum(case.size for case in found.cases) <= 50_000
    again = table(rows[::-1], most_bytes=50_000)
    assert {case.prompt for case in again.cases} == {case.prompt for case in found.cases}
    (long,) = table([row("base", "q", 0.5, "y" * (MOST_CHARACTERS + 5))]).cases
    assert str(long.answers[0].text).endswith("y… (5 more characters)")


def test_where_runs_are_compared_cases_that_differ_have_room_first() -> None:
    rows = [
        row(name, f"q{n}", 0.8 if name == "base" or n % 8 else 0.2, f"{'x' * 1000}{text}")
        for n in range(40)
        for name in ("base", "rl")
        for text in ("!" if name == "rl" and n % 8 == 2 else "",)
    ]
    found = table(rows, most_bytes=40_000, differing_first=True)
    assert found.left_out and found.preferred and len(found.cases) > 10
    outcomes = {case.prompt for case in found.cases if len(set(case.verdicts)) > 1}
    texts = {case.prompt for case in found.cases if len({a.text for a in case.answers}) > 1}
    assert outcomes == {f"q{n}" for n in range(0, 40, 8)}
    assert texts == {f"q{n}" for n in range(2, 40, 8)}
    assert not table(rows, most_bytes=40_000).preferred


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(
        tmp_path_factory.mktemp("answers") / "run", held_out=8, controls=4, resamples=100
    )


def test_every_row_with_an_answer_stands_in_the_page_without_its_script(small: Path) -> None:
    page = build_report(small).read_text(encoding="utf-8")
    rows = [r for r in RunFolder.open(small).rows() if "answer" in r.detail or "mc1" in r.metrics]
    start = page.index("data-explore")
    answers = re.findall(r"<dd>(.*?)</dd>", page[start : page.index("</table>", start)], re.DOTALL)
    texts = [unescape(t) for a in answers for t in re.findall(r"<q>(.*?)</q>", a, re.DOTALL)]
    assert len(answers) == len(rows) > 200
    assert sorted(texts) == sorted(r.detail["answer"] for r in rows if "answer" in r.detail)
    hidden = re.findall(r"<[^<>]* hidden>", page)
    assert hidden == [
        '<div class="filters" role="search" aria-label="Answers" hidden>', '<p class="more" hidden>',
    ]  # fmt: skip
