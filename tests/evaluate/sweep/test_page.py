"""What `truing eval` shows of many wordings, sizes and controls: figures, sentences, the page."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from browsing import serious
from report_browsing import CUT_OFF, OVERFLOWING, TOO_SMALL
from synthetic_sweep import synthetic_sweep
from truing.data.texts import instructions
from truing.evaluate.sweep.answers_shown import answers as answers_of
from truing.evaluate.sweep.page import page, show
from truing.evaluate.sweep.result import Line, SweepResult
from truing.evaluate.sweep.shown import labels, question_scores, shown_lines
from truing.evaluate.sweep.verdict import cards, changes, counted, verdict
from truing.judges.correction import Calibration, Judged, corrected_mean
from truing.judges.graded import CALIBRATED_BY
from truing.statistics.means import mean, paired_difference
from truing.types import Row

HELPFUL, HARMFUL = len(instructions("helpful")), len(instructions("harmful"))
FEW = ("own", "helpful-1", "helpful-2", "harmful-1", "harmful-2")


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return synthetic_sweep()


def test_many_wordings_are_shown_as_their_mean(result: SweepResult) -> None:
    shown = shown_lines(result, "truthfulness")
    assert list(dict.fromkeys(line.prompt for line in shown)) == [
        "own", f"helpful ({HELPFUL} wordings)", f"harmful ({HARMFUL} wordings)",
    ]  # fmt: skip
    scores = [
        score
        for prompt, row in result.rows
        if prompt.startswith("helpful") and row.candidate == "small-one"
        and row.evaluation == "truthfulness" and isinstance(score := row.metrics["mc1"], float)
    ]  # fmt: skip
    [line] = [x for x in shown if x.candidate == "small-one" and x.prompt.startswith("helpful")]
    assert line.metrics["mc1"].value == pytest.approx(sum(scores) / len(scores))
    assert labels(synthetic_sweep(names=["small-one"], prompts=["helpful-2"], questions=3)) == {
        "helpful-2": "helpful-2"
    }


def test_the_sensitivity_is_in_the_document(result: SweepResult) -> None:
    found = result.to_json()["sensitivity"]["helpful"]["truthfulness"]
    assert len(found["wordings"]) == HELPFUL
    one = found["candidates"]["large-one"]["mc1"]
    assert one["min"] <= one["mean"]["value"] <= one["max"]
    assert one["sd"]["low"] <= one["sd"]["value"] <= one["sd"]["high"]
    assert one["best"]["value"] == one["max"] and one["best"]["prompt"] in found["wordings"]
    assert one["best"]["elsewhere"] < one["max"]
    [order] = [
        o for o in found["orders"]
        if (o["first"], o["second"], o["metric"]) == ("small-one", "large-one", "mc1")
    ]  # fmt: skip
    assert order["second_clearly_above"] > 5 and not order["depends_on_wording"]
    assert order["sentence"].startswith("mc1: large-one is above small-one under")
    assert len(order["differences"]) == HELPFUL


def test_the_terminal_says_what_the_wording_does(result: SweepResult) -> None:
    text = io.StringIO()
    show(result, Console(file=text, width=200))
    said = " ".join(text.getvalue().split())
    assert f"Truthfulness under {HELPFUL} wordings of helpful" in said
    assert "MC1: large-one is above small-one under" in said
    assert "wordings and questions]" in said and "1 unscored" in said


def test_the_page_has_figures_tables_and_sentences(result: SweepResult) -> None:
    html = page(result, "truing eval")
    assert html == page(result, "truing eval")
    assert "middle <b>one" not in html and "middle &lt;b&gt;one" in html
    for title in ("Against model size", "Truthfulness beside control questions", "Prompts",
                  f"Control questions under {HARMFUL} wordings of harmful"):  # fmt: skip
        assert f"<h2>{title}</h2>" in html
    assert "True; solid: informative too" in html and "is above" in html
    keys = re.findall(r' id="([^"]+)"', html)
    assert len(keys) == len(set(keys))


def test_the_head_says_what_is_beyond_noise_and_counts(result: SweepResult) -> None:
    found = changes(result)
    small = found["truthfulness", "mc1", "small-one", f"harmful ({HARMFUL} wordings)"]
    scores = question_scores(result, "truthfulness", "mc1")
    by_hand = paired_difference(
        scores["small-one", f"harmful ({HARMFUL} wordings)"],
        scores["small-one", "own"],
        seed=result.spec.seed,
    )
    assert small.difference == by_hand and small.against == "own"
    large = found["truthfulness", "mc1", "large-one", "own"]
    assert large.against == "small-one" and ("truthfulness", "mc1", "small-one", "own") not in found
    said = verdict(result, found)
    assert re.match(r"\d+ of 24 differences in what counts are beyond noise: large-one under", said)
    assert counted(result)[:3] == ["3 candidates", "3 prompts", "80 cases"]
    assert counted(result)[3].endswith("rows, 6 unscored")
    *_, last = cards(result, found)
    assert last.name == "large-one" and last.tone == "mixed" and "losses" in last.verdict
    html = page(result, "truing eval")
    assert html.count('<section class="card ') == 3
    links = re.findall(r'<a href="#([^"]+)"', html)
    assert len(links) == 11 and set(links) <= set(re.findall(r' id="([^"]+)"', html))
    marks = re.findall(r'<b class="(gain|loss)">[▲▼]</b>', html)
    assert {"gain", "loss"} <= set(marks)
    assert html.count("<script>") == 1 and "unsafe" not in html.partition("</head>")[0]


def test_what_moved_and_is_neither_good_nor_bad_is_beyond_noise_too() -> None:
    few = synthetic_sweep(names=["small-one"], evaluations=["trivia"], judged=False, questions=5)
    few.asked["drift"] = few.asked.pop("trivia")
    prompts = [variant.name for variant in few.prompts[:2]]
    few.prompts = few.prompts[:2]
    few.rows = [
        (prompt, Row("small-one", 0, "drift", str(n), {"answer_tokens": 9.0 + n + 20.0 * place}))
        for place, prompt in enumerate(prompts)
        for n in range(6)
    ]
    few.lines = [
        Line("small-one", "drift", prompt, {"answer_tokens": mean([9.0, 12.0])})
        for prompt in prompts
    ]
    few.sensitivities = []
    found = changes(few)
    assert [each.effect for each in found.values()] == ["moved"]
    assert verdict(few, found).startswith(
        "1 of 1 differences in what counts is beyond noise: small-one"
    )
    assert [(card.tone, card.verdict) for card in cards(few, found)] == [("none", "1 other change")]


def test_differences_of_corrected_shares_are_corrected_too() -> None:
    sweep = synthetic_sweep(prompts=("own", "harmful-1"), evaluations=("truthfulness",))
    known = Calibration(
        np.array([0.9, 0.1, 0.3, 0.1]), np.array([1, 1, 0, 0]), np.arange(4)
    )  # tells good from bad by 0.3
    calibration = dict.fromkeys(CALIBRATED_BY.values(), known)
    as_given = changes(sweep)
    sweep.open_ended.grader = SimpleNamespace(calibration=calibration, agreement={})  # type: ignore[assignment]
    found = changes(sweep)
    grades: dict[str, dict[str, float]] = {}
    for prompt, row in sweep.rows:
        score = row.metrics.get("true")
        if row.candidate == "large-one" and isinstance(score, float):
            grades.setdefault(prompt, {})[row.case] = 0.2 + 0.3 * score
            row.metrics["true"] = 0.2 + 0.3 * score  # type: ignore[index]
    common = grades["own"].keys() & grades["harmful-1"].keys()  # one row is unscored
    own, other = (
        corrected_mean(Judged([grades[prompt][case] for case in common]), known).value
        for prompt in ("own", "harmful-1")
    )
    place = ("truthfulness", "true", "large-one", "harmful-1")
    moved = changes(sweep)[place].difference
    assert own is not None and other is not None and moved.value == pytest.approx(other - own)
    raw = as_given[place].difference
    assert moved.value == pytest.approx(raw.value) and raw.value  # of 0.2 + 0.3 x, corrected by 0.3
    mc1 = ("truthfulness", "mc1", "large-one", "harmful-1")
    assert found[mc1].difference == as_given[mc1].difference  # likelihoods need no judge


def test_every_answer_of_a_sweep_stands_in_its_page() -> None:
    few = synthetic_sweep(prompts=("own", "helpful-1"), evaluations=("truthfulness",), questions=6)
    for place, (_, row) in enumerate(few.rows):
        row.detail["answer"] = f"Answer <{place}>"
    html = page(few, "truing eval")
    answers = re.findall(r"<q>Answer &lt;(\d+)&gt;</q>", html)
    assert sorted(map(int, answers)) == list(range(3 * 2 * 6))
    table = answers_of(few)
    assert table.columns[:2] == ("small-one, own", "small-one, helpful-1")
    assert table.cases[0].verdicts[0] == "none"  # the row that is unscored
    assert table.legend == (("Truthfulness", "✓ true and informative"),)
    alone = synthetic_sweep(names=["small-one"], prompts=("own",), questions=3)
    assert answers_of(alone).columns == ("small-one",)
    assert verdict(alone, changes(alone)).startswith("Truthfulness, MC1 1.000 [1.000")
    assert [card.verdict for card in cards(alone, {})] == ["the reference"]


def test_many_wordings_without_answers_are_one_column_with_their_mean(result: SweepResult) -> None:
    table = answers_of(result)
    assert len(table.columns) == 9 and not table.abreast
    of = f"small-one, helpful ({HELPFUL} wordings)"
    (answer,) = [each for each in table.cases[1].answers if each.column == of]
    case = next(
        case for case in result.asked["truthfulness"].cases if case.prompt == table.cases[1].prompt
    )
    mean = question_scores(result, "truthfulness", "mc1")["small-one", of.partition(", ")[2]][
        case.id
    ]
    assert f"MC1 {mean:.2f}" in answer.remarks


def test_nothing_is_drawn_of_what_is_not_there() -> None:
    alone = synthetic_sweep(
        names=["small-one"], prompts=["own"], evaluations=["trivia"], judged=False, questions=5
    )
    html = page(alone, "truing eval")
    for title in ("Against model size", "Truthfulness beside", "wordings of", "True; solid"):
        assert title not in html
    assert alone.to_json()["sensitivity"] == {}


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(
    browser: Any, result: SweepResult, tmp_path: Path, width: int
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(result, "truing eval"), encoding="utf-8")
    view = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    view.on("console", lambda message: complaints.append(message.text))
    view.goto(path.as_uri(), wait_until="load")
    view.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert view.evaluate("document.scrollingElement.scrollWidth") <= width
    assert view.evaluate(OVERFLOWING) == []
    assert min(view.evaluate(TOO_SMALL)) > 0.8
    assert view.evaluate(CUT_OFF) == []
    assert complaints == []
    names = ("small-one", f"/home/me/runs/{'long' * 20}/candidates/sft")
    few = synthetic_sweep(names=names, prompts=FEW[::2], questions=5)  # axe looks at every mark
    path.write_text(page(few, "truing eval"), encoding="utf-8")
    view.goto(path.as_uri(), wait_until="load")
    view.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert view.evaluate(OVERFLOWING) == [] and serious(view) == []
    view.close()
