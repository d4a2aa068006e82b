"""What counts: beyond noise, large enough, and there without what flatters a figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthetic_run import write_lines, write_run
from truing.recipes.report import build_report, task_metrics
from truing.report.cards import cards_of
from truing.report.effects import effect, loss, why_not
from truing.report.findings import findings
from truing.report.measured import Measured, measure
from truing.report.sentences import Finding
from truing.report.summary import summarise
from truing.report.task_metrics import TaskMetrics
from truing.runs.folder import RunFolder
from truing.spec.task import TaskSpec
from truing.tasks.metrics import check_measures
from truing.types import InputError, Metric, Row

PLAIN = Metric("answers", "good", "Good", 1, "share", "", phrase="good answers", adjusted="fair")
FAIR = Metric("answers", "fair", "Good, adjusted", 1, "share", "", phrase="good beginnings")
TASK = TaskMetrics((PLAIN, FAIR), {}, headline=(("answers", "good"),))
UP, DOWN, NOISE, SMALL = [0.1, 0.2], [-0.1, -0.2], [0.3, -0.3], [0.01, 0.012]


def measured_for(task: TaskMetrics = TASK, **changes: list[float]) -> Measured:
    """rl against a base of 40 cases at 0.5; a metric's steps are taken in turn."""
    rows = []
    for name, steps in changes.items():
        evaluation, _, metric = name.rpartition("__")
        for case in range(40):
            for candidate, step in (("base", 0.0), ("rl", steps[case % len(steps)])):
                scores: dict[str, object] = {metric: 0.5 + step}
                rows.append(Row(candidate, 0, evaluation or "answers", f"c{case}", scores))  # type: ignore[arg-type]
    return measure(rows, ["base", "rl"], task)


def found_for(measured: Measured) -> list[Finding]:
    return findings(measured, judges={}, data={}, finished=True)


@pytest.mark.parametrize(
    ("good", "fair", "kind", "tone", "text"),
    [
        (UP, UP, "gain", "gain", "rl raised good answers by +0.15 [0.13, 0.16] (adjusted +0.15"),
        (UP, NOISE, "unconfirmed", "none", "it raised good answers by +0.15 [0.13, 0.16], but "
         "adjusted by 0.00 [−0.09, 0.09], within noise"),
        (UP, SMALL, "unconfirmed", "none", "too small to count"),
        (UP, DOWN, "unconfirmed", "loss", "did not help: it lowered good beginnings by −0.15"),
        (NOISE, UP, "", "none", "good answers 0.00 [−0.09, 0.09] is within noise"),
        (SMALL, UP, "small", "none", "it raised good answers by +0.01 [0.01, 0.01], too small "
         "to count (below 0.02)"),
        (DOWN, UP, "loss", "loss", "did not help: it lowered good answers by −0.15"),
        (DOWN, DOWN, "loss", "loss", "it lowered good answers by −0.15 [−0.16, −0.13] (adjusted "
         "−0.15 [−0.16, −0.13])."),
        ([-0.01, -0.012], NOISE, "small", "none", "it lowered good answers by −0.01 ["),
    ],
)  # fmt: skip
def test_a_gain_counts_where_the_adjusted_figure_shows_it_too(
    good: list[float], fair: list[float], kind: str, tone: str, text: str
) -> None:
    measured = measured_for(good=good, fair=fair)
    verdict = found_for(measured)[0]
    assert effect(measured, "rl", PLAIN) == kind
    assert (verdict.tone, text in verdict.text) == (tone, True), verdict.text


def test_without_the_adjusted_figure_the_metric_counts_alone_and_that_is_said() -> None:
    measured = measured_for(good=UP)
    verdict, *others = found_for(measured)
    assert verdict.tone == "gain" and "adjusted" not in verdict.text
    (note,) = [finding.text for finding in others if "adjusted" in finding.text]
    assert note == (
        "Good answers were not adjusted in this run (good beginnings were not measured), so the "
        "verdicts go by the plain figure."
    )
    assert not any("adjusted" in f.text for f in found_for(measured_for(good=UP, fair=UP))[1:])


def test_the_smallest_effect_is_the_tasks() -> None:
    def kind(step: float, smallest: float | None = None, unit: str = "share") -> str:
        metric = Metric("answers", "good", "Good", 1, unit, "")  # type: ignore[arg-type]
        limits = {} if smallest is None else {("answers", "good"): smallest}
        task = TaskMetrics((metric,), {}, headline=(("answers", "good"),), smallest=limits)
        return effect(measured_for(task, good=[step, step + 1e-9]), "rl", metric)

    assert [kind(0.019), kind(0.02), kind(0.001, 0.0)] == ["small", "gain", "gain"]
    assert [kind(0.04, 0.05), kind(0.05, 0.05), kind(-0.04, 0.05)] == ["small", "gain", "small"]
    assert kind(0.001, unit="nats") == "gain"  # nothing is known of what counts
    stricter = TaskMetrics(TASK.metrics, {}, TASK.headline, smallest={("answers", "good"): 0.2})
    assert stricter.smallest_effect(FAIR) == 0.2  # what holds of a metric holds of its adjusted one


def test_a_smallest_effect_of_no_metric_is_refused() -> None:
    with pytest.raises(InputError, match=r"smallest_effect: 'trivia\.mc9': no evaluation"):
        check_measures(TaskSpec(smallest_effect={"trivia.mc9": 0.1}))


@pytest.mark.parametrize(
    ("fair", "verdict", "text"),
    [
        (UP, "agrees", "good beginnings (+0.15"),
        (DOWN, "gamed", "good beginnings (−0.15"),
        (NOISE, "can’t tell", "about 3,"),
    ],
)
def test_the_reward_is_held_against_the_adjusted_figure(
    fair: list[float], verdict: str, text: str
) -> None:
    reward = Metric("hacking", "reward", "Training reward", 1, "reward", "")
    task = TaskMetrics((PLAIN, FAIR, reward), {}, headline=TASK.headline)
    measured = measured_for(task, good=UP, fair=fair, hacking__reward=UP)
    (found,) = [finding for finding in found_for(measured) if finding.reward]
    assert (found.reward, text in found.text) == (verdict, True), found.text


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([-0.06], "damage"), ([-0.05], "damage"), ([0.3, -0.3], "not excluded"),
        ([-0.04], "little"), ([0.02], ""),
    ],
)  # fmt: skip
def test_what_must_not_fall(steps: list[float], kind: str) -> None:
    measured = measured_for(good=steps)
    assert loss(measured, "rl", PLAIN, 0.05) == kind
    assert loss(measured, "sft", PLAIN, 0.05) == ""


# --- On the page --------------------------------------------------------------------------------


def with_adjusted(run: Path, change: dict[str, float]) -> Path:
    """Gives every candidate but base an adjusted figure that differs from base's by `change`."""
    for path in run.glob("rows/truthfulness/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["metrics"]["true_and_informative_adjusted"] = (
                0.4 + change.get(row["candidate"], 0.0) + int(row["case"][:2], 16) / 2560
            )
        write_lines(path, rows)
    return run


def test_a_card_has_gain_damage_and_cost(tmp_path: Path) -> None:
    run = with_adjusted(write_run(tmp_path / "run", held_out=60), {"sft": 0.1, "rl": -0.1})
    summary = summarise(RunFolder.open(run), task_metrics(TaskSpec()))
    cards = {card.name: card for card in cards_of(summary)}
    for card in cards.values():
        assert [title for title, _ in card.groups] == ["Gain", "Damage", "Cost"]
    gain, damage, cost = (rows for _, rows in cards["rl"].groups)
    assert [row.label for row in gain] == ["True and informative", "MC2", "MC1"]
    assert [row.label for row in damage] == ["Control questions, MC1", "KL to base (nats)"]
    assert damage[0].effect == "loss" and damage[0].remark == "damage: 0.05 or more"
    assert damage[1].value.startswith("6.")
    assert [row.label for row in cost] == [
        "CPU time", "Labels used", "Tokens sampled", "Tokens trained"
    ]  # fmt: skip
    page = build_report(run).read_text(encoding="utf-8")
    assert page.count("<h3>Damage</h3>") == 3 == page.count("<h3>Cost</h3>")
    assert "True and informative, adjusted" in page


def test_a_figure_of_a_few_answers_by_plan_is_no_small_sample() -> None:
    rows = [Row("rl", 0, "truthfulness", f"c{n}", {"mc2": 0.5}) for n in range(60)]
    rows.append(Row("rl", 0, "truthfulness", "c0", {"true_and_informative_ended": 0.5}))
    measured = measure(rows, ["rl"], task_metrics(TaskSpec()))
    assert not any("Only" in finding.text for finding in found_for(measured))


def test_a_gain_too_small_to_count_is_marked_and_not_coloured(tmp_path: Path) -> None:
    run = with_adjusted(write_run(tmp_path / "run", held_out=60), {"sft": 0.1})
    limits = {"truthfulness.mc2": 0.4}
    task = task_metrics(TaskSpec(smallest_effect=limits))
    summary = summarise(RunFolder.open(run), task)
    (card,) = [card for card in cards_of(summary) if card.name == "sft"]
    (row,) = [row for row in card.groups[0][1] if row.label == "MC2"]
    assert (row.mark, row.effect) == ("▲", "")
    assert (
        row.remark
        == "too small to count (below 0.4)"
        == why_not(summary.measured, "sft", task.metric_of("truthfulness", "mc2"))
    )


def test_a_candidate_without_figures_still_has_its_costs(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", measured=("base", "sft"), held_out=40)
    summary = summarise(RunFolder.open(run), task_metrics(TaskSpec()))
    (card,) = [card for card in cards_of(summary) if card.name == "rl"]
    assert card.verdict == "not measured" and [title for title, _ in card.groups] == ["Cost"]
