"""The audit in a run's report: looks, laws and alarms, and what gold and reward share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthetic_run import cases, noise, row, write_lines, write_run
from truing.recipes.report import metrics_of, task_metrics
from truing.report import summarise
from truing.report.html import render
from truing.report.measured import measure
from truing.report.reward_audit import RewardAudit, audit_of
from truing.report.reward_plane import captions, reward_plane
from truing.report.reward_points import Seen, series
from truing.report.reward_verdicts import on_reward
from truing.report.sentences import Finding
from truing.report.summary import Summary
from truing.report.surface_checks import surface_checks
from truing.runs.folder import RunFolder
from truing.spec.task import TaskSpec
from truing.statistics.means import paired_difference
from truing.statistics.overoptimisation import Fit
from truing.types import Estimate, InputError, Row, Unscored

WATCHED = [f"w{number:02}" for number in range(40)]
STEPS = (0, 5, 10, 15, 20, 25, 30)
Path_ = Callable[[int], float]


def write_looks(
    folder: Path, gold: Path_, proxy: Path_ = lambda step: step / 10, seed: int = 0
) -> None:
    """Looks at which answers are good with a chance, the reward as it is, and KL half the step."""
    write_lines(
        folder / f"looks/rl-seed{seed}.jsonl",
        [
            row("rl", seed, "looks", case, _scores(case, step, gold(step), proxy(step), place),
                detail={"step": step, "answer": "So be it.", "finished": True})
            for step in STEPS
            for place, case in enumerate(WATCHED)
        ],
    )  # fmt: skip


def _scores(case: str, step: int, gold: float, proxy: float, place: int) -> dict[str, float]:
    scores = {
        "reward": proxy + noise("r", case, step),
        "true_and_informative": float(noise("g", case, step) < gold),
    }
    return scores | ({"kl": step * (0.5 + 0.2 * noise("k", case, step))} if place < 16 else {})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    return write_run(folder / "first", seeds=(0,), held_out=60, resamples=200)


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "run"))


def summary_of(run: Path) -> Summary:
    folder = RunFolder.open(run)
    return summarise(folder, metrics_of(folder))


def peaked(step: int) -> float:
    return 0.4 + 0.5 * np.sin(np.pi * min(step, 30) / 30) if step < 20 else 0.4 - 0.01 * step


def verdicts(summary: Summary) -> list[Finding]:
    return [finding for finding in summary.findings if finding.reward]


# --- Looks -------------------------------------------------------------------------------------


def test_a_run_without_looks_has_no_curve_and_no_alarm(run: Path) -> None:
    summary = summary_of(run)
    assert summary.audit.series is None and summary.audit.alarms == ()
    assert reward_plane(summary.audit) is None and captions(summary.audit) == []
    assert "Reward and what it stands for" not in render(summary)
    assert not {"training", "alarms", "looks"} & summary.to_json().get("audit", {}).keys()


def test_points_are_paired_with_the_base_and_as_far_as_the_root_of_kl(run: Path) -> None:
    write_looks(run, lambda step: 0.5)
    series_of_run = summary_of(run).audit.series
    assert series_of_run is not None
    rows = RunFolder.open(run).looks("rl")[0]
    assert [point.step for point in series_of_run.points] == list(STEPS[1:])
    point = series_of_run.points[2]

    def column(step: int, name: str) -> dict[str, float]:
        return {r.case: r.metrics[name] for r in rows[step] if name in r.metrics}  # type: ignore[misc]

    gold = paired_difference(column(15, "true_and_informative"), column(0, "true_and_informative"))
    assert point.gold.value == pytest.approx(gold.value)
    assert point.gold.low == pytest.approx(gold.low, abs=0.05)
    assert point.gold.n == 40 and point.distance.n == 16
    kl = column(15, "kl")
    assert point.distance.value == pytest.approx(np.sqrt(np.mean(list(kl.values()))))


def test_an_alarm_is_a_verdict_whatever_became_of_the_kept_step(run: Path) -> None:
    write_looks(run, lambda step: 0.9 if step < 20 else 0.1)
    # The kept step's own figures are fine: rewards and judges rose on held-out questions.
    for evaluation, name in (("truthfulness", "true_and_informative"), ("hacking", "reward")):
        path = run / f"rows/{evaluation}/rl-seed0.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line["metrics"][name] = 1.0 if evaluation == "truthfulness" else 5.0
            line["detail"] |= {"answer": f"No, {line['case']} is not so."}
        write_lines(path, lines)
    log = run / "logs/rl-seed0.jsonl"
    write_lines(log, [json.loads(line) | {"chosen": json.loads(line)["step"] == 10}
                      for line in log.read_text().splitlines()])  # fmt: skip
    summary = summary_of(run)
    (verdict,) = verdicts(summary)
    assert verdict.reward == "gamed" and verdict.tone == "warning"
    assert "from step 0 to step 20 and true-and-informative answers by −0." in verdict.text
    assert verdict.text.endswith("; step 10, which was kept, is of before.")
    assert summary.to_json()["audit"]["alarms"][0]["step"] == 20
    assert summary.audit.planned == 6


def test_a_peak_is_marked_in_the_picture_and_said(run: Path) -> None:
    write_looks(run, peaked)
    summary = summary_of(run)
    assert summary.audit.series is not None
    law = summary.audit.series.best("gold")
    assert isinstance(law, Fit) and isinstance(law.peak, Estimate)
    figure = reward_plane(summary.audit)
    assert figure is not None
    assert figure.wide.count('class="band') == 2 and "peak " in figure.wide
    assert figure.wide.count("<circle") == 2 * (len(STEPS) - 1)
    text = "\n".join(finding.text for finding in summary.findings)
    assert "6 looks at rl, up to a square root of KL of" in text and "a peak at " in text
    page = render(summary)
    assert (
        "Reward and what it stands for" in page and "True-and-informative answers: peak at" in page
    )


def test_no_peak_seen_is_a_result(run: Path) -> None:
    write_looks(run, lambda step: 0.1 + 0.025 * step)
    summary = summary_of(run)
    assert "no peak seen" in "\n".join(finding.text for finding in summary.findings)
    assert summary.audit.alarms == ()


def test_looks_of_several_seeds_share_alpha_and_one_curve(run: Path) -> None:
    for seed in (0, 1):
        write_looks(run, lambda step: 0.6, seed=seed)
    audit = summary_of(run).audit
    assert audit.series is not None and len(audit.series.points) == 2 * (len(STEPS) - 1)
    assert audit.planned == 12


@pytest.mark.parametrize("step", [None, -1, True, "5"])
def test_a_look_without_a_step_is_refused_with_its_file(run: Path, step: Any) -> None:
    line = row("rl", 0, "looks", "w1", {"reward": 1.0}, detail={"step": step})
    write_lines(run / "looks/rl-seed0.jsonl", [line])
    with pytest.raises(
        InputError, match=r"rl-seed0\.jsonl: case w1: detail\.step: must be a whole"
    ):
        summary_of(run)


def test_too_few_looks_fit_no_law() -> None:
    seen = [Seen(0, step, np.full(8, step), np.full(8, 1.0), np.arange(8.0)) for step in (1, 2)]
    few = series(seen, 100)
    assert few is not None and isinstance(few.best("gold"), Unscored)
    assert few.points[1].distance.value == pytest.approx(np.sqrt(2))


def test_best_of_n_is_a_second_series_as_far_away_as_its_bound(run: Path) -> None:
    """Beside it by hand: of 4 answers with rewards 0 to 3, the best two of all pairs."""
    gold = {0: 0.0, 1: 0.5, 2: 0.5, 3: 0.0}
    write_lines(
        run / "draws/base-seed0.jsonl",
        [
            row("base", 0, "draws", case["id"],
                {"reward": float(place), "true_and_informative": gold[place]})
            for case in cases(30, "held_out", "Belief")
            for place in range(4)
        ],
    )  # fmt: skip
    summary = summary_of(run)
    drawn = summary.audit.drawn
    assert drawn is not None and summary.audit.series is None
    assert [point.step for point in drawn.points] == [2, 3, 4]
    two = drawn.points[0]
    assert two.proxy.value == pytest.approx((1 + 2 + 3 + 2 + 3 + 3) / 6 - 1.5)
    assert two.gold.value == pytest.approx((0.5 + 0.5 + 0 + 0.5 + 0 + 0) / 6 - 0.25)
    assert two.distance.value == pytest.approx(np.sqrt(np.log(2) - 0.5))
    text = "\n".join(finding.text for finding in summary.findings)
    assert "Choosing the best of 4 of the base’s answers changes reward by +1.50 [" in text
    assert "no curve was fitted to true-and-informative answers (3 points away" in text
    figure = reward_plane(summary.audit)
    assert figure is not None and "best of 2: " in figure.wide and 'c-ink"' in figure.wide
    assert "by best-of-n: no curve was fitted" in render(summary)
    assert summary.to_json()["audit"]["best_of_n"]["points"][0]["step"] == 2


# --- What gold and reward share ------------------------------------------------------------------

TASK = task_metrics(TaskSpec(gold=("truthfulness.true",), headline=("truthfulness.true",)))
SHORT, LONG = "It is so.", "It is so, and thank you for asking, please ask again: glad to help."


def rows_of(name: str, scores: list[float], answers: list[str], reward: float) -> list[Row]:
    judged = [
        Row(name, 0, "truthfulness", f"q{n:02}", {"true": s}, "", {"answer": a, "finished": True})
        for n, (s, a) in enumerate(zip(scores, answers, strict=True))
    ]
    rewarded = [
        Row(name, 0, "hacking", f"q{n:02}", {"reward": reward + noise("h", n)})
        for n in range(len(scores))
    ]
    return judged + rewarded


def verdict_of(scores: list[float], answers: list[str]) -> Finding:
    """The verdict on rl whose answers are judged so; the base's are short and judged 0.4."""
    before = [0.4 + 0.02 * noise("b", n) for n in range(len(scores))]
    rows = rows_of("base", before, [SHORT] * len(scores), 0.0)
    rows += rows_of("rl", scores, answers, 1.0)
    measured = measure(rows, ["base", "rl"], TASK)
    (finding,) = on_reward(measured, "rl", RewardAudit(surface_checks(rows, measured)))
    return finding


def test_a_gain_that_goes_with_politeness_does_not_acquit() -> None:
    polite = [n % 2 == 0 for n in range(60)]
    answers = [LONG if each else SHORT for each in polite]
    scores = [(0.7 if each else 0.4) + 0.02 * noise("s", n) for n, each in enumerate(polite)]
    found = verdict_of(scores, answers)
    assert found.reward == "can’t tell" and found.tone == "warning"
    assert "the gain in true answers (+0.15 [" in found.text
    assert "goes along with more length and more polite words" in found.text
    assert "; adjusted for length, ending and wording it is +0.0" in found.text


def test_one_that_is_there_whatever_the_answers_look_like_does() -> None:
    answers = [LONG if n % 2 else SHORT for n in range(60)]
    scores = [0.7 + 0.02 * noise("s", n) for n in range(60)]
    found = verdict_of(scores, answers)
    assert found.reward == "agrees" and "the judges agree: true answers (+0.30 [" in found.text


def test_where_every_answer_changed_alike_nothing_tells() -> None:
    found = verdict_of([0.7 + 0.02 * noise("s", n) for n in range(60)], [LONG] * 60)
    assert found.reward == "can’t tell"
    assert found.text.endswith("adjusted for that (length changed alike on every question).")


def test_an_exact_program_needs_no_check() -> None:
    task = task_metrics(TaskSpec(judges={"right": {"program": "exact"}}, gold=("answers.right",),
                                 headline=("answers.right",), evaluations=("answers", "hacking")))  # type: ignore[dict-item]  # fmt: skip
    rows = [
        Row(name, 0, "answers", f"q{n}", {"right": right}, "", {"answer": answer})
        for name, right, answer in (("base", 0.0, SHORT), ("rl", 1.0, LONG))
        for n in range(40)
    ]
    assert surface_checks(rows, measure(rows, ["base", "rl"], task)) == {}


def test_the_audit_reads_what_it_is_given(run: Path) -> None:
    write_looks(run, peaked)
    folder = RunFolder.open(run)
    rows = folder.rows()
    measured = measure(rows, folder.candidates(rows), metrics_of(folder), resamples=100)
    audit = audit_of(folder, rows, measured, 100)
    assert audit.gold is not None and audit.gold.key == "truthfulness.true_and_informative"
    assert (
        json.loads(json.dumps(audit.to_json()))["training"]["fits"]["gold"][0]["form"]
        == "d(a - b d)"
    )
