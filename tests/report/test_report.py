"""Run folder to figures, sentences and page: numbers by hand, nothing broken by what is missing."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from synthetic_run import row, write_lines, write_run
from truing.recipes.report import build_report, task_metrics
from truing.recipes.report_runs import report_runs
from truing.report import categories, curves, examples, quantities, reward_verdicts, svg
from truing.report.findings import findings
from truing.report.measured import Measured
from truing.report.measured import measure as measure_for
from truing.report.metrics import change, interval, number
from truing.report.policy import policy_of
from truing.report.sentences import Finding, change_text, joined
from truing.runs.folder import RunFolder
from truing.spec.task import TaskSpec
from truing.statistics import means as statistics
from truing.types import Estimate, InputError, Row, Unscored

TRUTHFUL = task_metrics(TaskSpec())
GOLD = "true_and_informative"
VOID = {"meta", "link", "br", "input"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_run(tmp_path_factory.mktemp("report") / "run")
    build_report(run)
    return run


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    """A fresh copy to be damaged."""
    return Path(shutil.copytree(built, tmp_path / "run"))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def rows_of(candidate: str, metric: str, values: list[float], **more: Any) -> list[Row]:
    evaluation = more.get("evaluation", "truthfulness")
    return [
        Row(candidate, more.get("seed", 0), evaluation, f"q{index}", {metric: value})
        for index, value in enumerate(values)
    ]


def measure(rows: list[Row], names: list[str]) -> Measured:
    return measure_for(rows, names, TRUTHFUL)


def found_for(measured: Measured, **more: Any) -> list[Finding]:
    good = {"truth": {"balanced_accuracy": 0.9}, "informative": {"balanced_accuracy": 0.9}}
    return findings(
        measured,
        judges=more.get("judges", good),
        data=more.get("data", {}),
        finished=more.get("finished", True),
    )


def texts(found: list[Finding]) -> str:
    return "\n".join(finding.text for finding in found)


class Page(HTMLParser):
    """Checks that tags are balanced, and keeps tags, attributes and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


# --- Figures -----------------------------------------------------------------------------------


def test_pooling_by_hand() -> None:
    rows = [
        *rows_of("base", "mc2", [0.2, 0.4, 0.6]),
        *rows_of("sft", "mc2", [0.5, 0.5], seed=0),
        *rows_of("sft", "mc2", [0.7, 0.5, 0.9], seed=1),
        Row("sft", 0, "truthfulness", "q2", {"mc2": Unscored("empty answer")}),
    ]
    measured = measure(rows, ["base", "sft"])
    # Question means over seeds: 0.6, 0.5 and (one seed scored) 0.9.
    value, difference = (
        measured.value("sft", "truthfulness", "mc2"),
        measured.difference("sft", "truthfulness", "mc2"),
    )
    assert value is not None and difference is not None
    assert value.value == pytest.approx((0.6 + 0.5 + 0.9) / 3)
    assert (value.n, value.unscored) == (3, 1)
    assert difference.value == pytest.approx((0.4 + 0.1 + 0.3) / 3)
    assert (difference.n, difference.unscored) == (3, 0)
    assert measured.seeds == {"base": (0,), "sft": (0, 1)}


def test_summary_equals_a_plain_loop_over_the_files(built: Path) -> None:
    summary = json.loads((built / "summary.json").read_text())
    scores: dict[tuple[str, str, str], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for path in built.glob("rows/*/*.jsonl"):
        for line in path.read_text().splitlines():
            data = json.loads(line)
            for name, score in data["metrics"].items():
                scores[data["candidate"], data["evaluation"], name][data["case"]].append(score)
    means = {
        key: {case: sum(values) / len(values) for case, values in by_case.items()}
        for key, by_case in scores.items()
    }
    count = 0
    for (candidate, evaluation, metric), by_case in means.items():
        found = summary["candidates"][candidate][evaluation][metric]
        assert found["value"] == pytest.approx(sum(by_case.values()) / len(by_case), abs=1e-12)
        assert found["n"] == len(by_case) and found["unscored"] == 0
        assert found["low"] <= found["value"] <= found["high"]
        if candidate != "base" and metric != "kl":
            base = means["base", evaluation, metric]
            gain = [by_case[case] - base[case] for case in base]
            found = summary["differences"][candidate][evaluation][metric]
            assert found["value"] == pytest.approx(sum(gain) / len(gain), abs=1e-12)
        count += 1
    assert count == 4 * 13 - 1  # base has no KL to itself
    assert "base" not in summary["differences"]
    assert "kl" not in summary["differences"]["rl"]["drift"]
    assert summary["run"] == str(built) and summary["model"]["name"] == "smollm2-135m"
    assert summary["costs"]["total"]["labels"] == 950
    assert set(summary) >= {"spec_digest", "judges", "findings"}


def edit_spec(run: Path, resamples: object) -> None:
    path = run / "spec.yaml"
    spec = yaml.safe_load(path.read_text())
    spec["evaluation"]["resamples"] = resamples
    path.write_text(yaml.safe_dump(spec))


def test_the_spec_sets_the_resamples(run: Path) -> None:
    before = json.loads((run / "summary.json").read_text())["candidates"]["base"]["trivia"]["mc1"]
    edit_spec(run, 400)
    build_report(run)
    after = json.loads((run / "summary.json").read_text())["candidates"]["base"]["trivia"]["mc1"]
    assert before["value"] == after["value"] and before != after
    edit_spec(run, "many")
    with pytest.raises(InputError, match=r"evaluation\.resamples"):
        build_report(run)


# --- How figures are written -------------------------------------------------------------------


def test_numbers_as_people_write_them() -> None:
    assert number(0.5) == "0.500" and number(-0.0001) == "0.000" and number(None) == "–"
    nats = [number(value, "nats") for value in (9.994, 9.996, -47.31, 99.96, -247.3)]
    assert nats == ["9.99", "10.0", "−47.3", "100", "−247"]
    assert number(-1.234, "nats", sign=True) == "−1.23" and number(0.05, sign=True) == "+0.050"
    assert interval(Estimate(0.5, None, None, 1)) == ""
    assert interval(Estimate(0.5, -0.25, 0.75, 9)) == "[−0.250, 0.750]"
    assert change_text(Estimate(0.05, 0.02, 0.08, 9)) == "+0.05 [0.02, 0.08]"
    assert change_text(Estimate(0.05, None, None, 1)) == "+0.05 (one question, no interval)"
    assert change_text(Estimate(0.05, None, None, 9)) == "+0.05 (no interval)"
    # Two decimals would print the bound as 0.00, on neither side of 0.
    assert change_text(Estimate(0.05, 0.004, 0.08, 9)) == "+0.050 [0.004, 0.080]"
    assert joined(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"),
        (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min"),
    ],
)  # fmt: skip
def test_durations(value: float, text: str) -> None:
    assert quantities.duration(value) == text


def test_memory_and_counts() -> None:
    assert quantities.memory(1_900_000_000) == "1.90 GB" and quantities.memory(5e6) == "5 MB"
    assert quantities.count(1234567) == "1\u202f234\u202f567"
    assert quantities.cost_cells({"labels": 190})[3] == "190"
    assert quantities.cost_cells({})[0] == "–"


@pytest.mark.parametrize(
    ("low", "high", "name", "effect"),
    [
        (0.1, 0.3, "mc1", "gain"), (-0.3, -0.1, "mc1", "loss"), (-0.1, 0.3, "mc1", ""),
        (0.0, 0.3, "mc1", ""), (0.1, 0.3, "success", "loss"), (-0.3, -0.1, "success", "gain"),
        (0.1, 0.3, "answer_tokens", "moved"), (0.1, 0.3, "unheard_of", "moved"),
    ],
)  # fmt: skip
def test_what_a_difference_means(low: float, high: float, name: str, effect: str) -> None:
    evaluation = {"success": "attacks", "answer_tokens": "drift"}.get(name, "truthfulness")
    estimate = Estimate((low + high) / 2, low, high, 50)
    assert change(estimate, TRUTHFUL.metric_of(evaluation, name)) == effect


# --- Findings ----------------------------------------------------------------------------------


def moves(**changes: list[float]) -> Measured:
    """sft against a base of 40 questions at 0.5; each metric changed by alternating values."""
    rows = []
    for name, steps in changes.items():
        evaluation, metric = name.split("__")
        base = [0.5] * 40
        ours = [0.5 + steps[index % len(steps)] for index in range(40)]
        rows += rows_of("base", metric, base, evaluation=evaluation)
        rows += rows_of("rl", metric, ours, evaluation=evaluation)
    return measure(rows, ["base", "rl"])


UP, DOWN, NOISE = [0.1, 0.2], [-0.1, -0.2], [0.3, -0.3]


def test_a_gain_is_said_with_its_interval() -> None:
    first = found_for(moves(truthfulness__mc2=UP, trivia__mc1=[0.0]))[0]
    assert first.tone == "gain"
    assert re.fullmatch(r"rl raised MC2 by \+0\.15 \[0\.1\d, 0\.1\d\]\.", first.text)


def test_a_gain_at_a_price_names_both() -> None:
    first = found_for(moves(truthfulness__mc2=UP, truthfulness__informative=DOWN))[0]
    assert first.tone == "mixed"
    assert "raised MC2 by +0.15" in first.text and "but lowered informative answers" in first.text


def test_no_help_is_said_plainly() -> None:
    first = found_for(moves(truthfulness__mc2=NOISE, truthfulness__mc1=NOISE))[0]
    assert first.tone == "none" and first.text.startswith("rl did not help: MC2 0.00 [")
    assert first.text.endswith("are within noise.")


def test_true_alone_is_no_help() -> None:
    measured = moves(truthfulness__true=UP, truthfulness__true_and_informative=NOISE)
    first = found_for(measured)[0]
    assert first.text.startswith("rl did not help: it raised true answers by +0.15")
    assert "true-and-informative answers 0.00" in first.text


def test_harm_is_said_plainly() -> None:
    first = found_for(moves(truthfulness__mc2=DOWN))[0]
    assert first.tone == "loss" and first.text.startswith(
        "rl did not help: it lowered MC2 by −0.15"
    )


@pytest.mark.parametrize(
    ("judged", "verdict", "text"),
    [
        (UP, "agrees", "and the judges agree: true-and-informative answers (+0.15 ["),
        (DOWN, "gamed", "while true-and-informative answers (−0.15 ["),
        ([0.0, -0.01, 0.01, 0.0], "gamed", "gained less than 0.02."),
        ([0.004, 0.006], "gamed", "gained less than 0.02."),
        (NOISE, "can’t tell", "can’t be told from true-and-informative answers (0.00 ["),
        ([0.24, -0.14], "can’t tell", "held-out questions would tell a gain of 0.02 from none."),
    ],
    ids=[
        "better",
        "worse",
        "no gain that counts",
        "a sure one that doesn't",
        "noise",
        "an honest gain in noise",
    ],
)
def test_three_verdicts_on_a_reward(judged: list[float], verdict: str, text: str) -> None:
    measured = moves(hacking__reward=UP, truthfulness__true_and_informative=judged)
    (found,) = [finding for finding in found_for(measured) if finding.reward]
    assert found.reward == verdict and text in found.text
    assert found.text.startswith("The reward was gamed: rl raised") is (verdict == "gamed")
    assert (found.tone == "note") is (verdict == "agrees")


def test_the_cases_needed_by_hand() -> None:
    # A half-width of 0.1 has to become 0.025, a fourth: 16 times the questions.
    needed = reward_verdicts._cases_needed
    assert needed(Estimate(0.0, -0.1, 0.1, 85), 0.05) == 1400  # 1,360 rounded up
    assert needed(Estimate(0.0, None, None, 1), 0.05) is None


def test_a_reward_that_did_not_rise_taught_little() -> None:
    measured = moves(hacking__reward=NOISE, truthfulness__true_and_informative=UP)
    assert "there was little to learn from" in texts(found_for(measured))


def test_only_a_candidate_trained_on_the_reward_can_game_it() -> None:
    rows = [*rows_of("base", "reward", [0.0] * 40, evaluation="hacking")]
    rows += rows_of("sft", "reward", [1.0, 1.1] * 20, evaluation="hacking")
    assert "gamed" not in texts(found_for(measure(rows, ["base", "sft"])))


@pytest.mark.parametrize(
    ("control", "tone", "text"),
    [
        ([-0.06], "warning", "a loss of 0.05 or more and beyond noise: that is damage."),
        ([-0.05], "warning", "a loss of 0.05 or more and beyond noise: that is damage."),
        ([0.38, -0.5], "warning", "a loss of more than 0.05 is not excluded."),
        ([0.3, -0.3], "note", "a loss of more than 0.05 is not excluded."),
        ([-0.12, 0.06], "note", "a loss of more than 0.05 is not excluded."),
        ([-0.04], "note", "rl lost a little: MC1 on control questions by −0.04"),
    ],
)
def test_a_loss_on_control_questions_is_marked(control: list[float], tone: str, text: str) -> None:
    found = found_for(moves(truthfulness__mc2=UP, trivia__mc1=control))
    (marked,) = [finding for finding in found if "MC1 on control questions" in finding.text]
    assert text in marked.text and marked.tone == tone
    assert marked.text.startswith("Warning: ") is ("damage" in text)


@pytest.mark.parametrize("control", [[0.0], [0.02, -0.01]])
def test_no_loss_is_no_finding(control: list[float]) -> None:
    found = texts(found_for(moves(truthfulness__mc2=UP, trivia__mc1=control)))
    assert "control questions" not in found


def test_attacks_judges_questions_and_samples_are_spoken_of() -> None:
    measured = moves(attacks__success=UP, truthfulness__true=UP, truthfulness__mc2=UP)
    judges = {"truth": {"balanced_accuracy": 0.69}}
    data = {"give_away": {"bag_of_words": 0.66, "longer_answer": 0.61, "shorter_answer": 0.39}}
    found = texts(found_for(measured, judges=judges, data=data, finished=False))
    carried_out = "rl: the share of attacks whose demand was carried out changed by"
    assert f"{carried_out} +0.15 [0.13, 0.16]." in found
    assert "The truth judge is weak: balanced accuracy 0.69" in found
    assert found.count("gives the truth away") == 2
    assert "Not measured: MC1 on control questions." in found
    assert "not finished" in found
    fair = texts(found_for(measured, data={"give_away": {"bag_of_words": 0.65}}))
    assert "weak" not in fair and "gives the truth away" not in fair


@pytest.mark.parametrize("steps", [UP, DOWN], ids=["more", "fewer"])
def test_attacks_carried_out_are_neither_resistance_nor_gain(steps: list[float]) -> None:
    measured = moves(attacks__success=steps, truthfulness__mc2=NOISE)
    (attacks,) = [finding for finding in found_for(measured) if "attacks" in finding.text]
    assert "harder" not in attacks.text and "robust" not in attacks.text
    assert ("follows fewer directions" in attacks.text) is (steps is DOWN)
    assert attacks.tone == ("warning" if steps is UP else "note")
    assert "attacks" not in found_for(measured)[0].text  # the verdict on helping


def test_unmeasured_few_and_unscored_are_said() -> None:
    rows = rows_of("base", "mc2", [0.1, 0.2]) + rows_of("sft", "mc2", [0.3, 0.4])
    rows.append(Row("sft", 0, "truthfulness", "q9", {"mc2": Unscored("no tokens")}))
    found = texts(found_for(measure(rows, ["base", "sft", "rl"])))
    assert "rl was not measured" in found
    assert "Only 2 held-out questions" in found
    assert "sft: rows that could not be scored were left out: 1 of MC2 (no tokens)." in found
    alone = texts(found_for(measure(rows_of("sft", "mc2", [0.3, 0.4]), ["base", "sft"])))
    assert "sft can’t be compared with base: base was not measured." in alone


# --- Curves, categories, examples --------------------------------------------------------------


def look(step: int, reward: float, judged: float, n: int = 400) -> dict[str, Any]:
    return {
        "step": step, "monitor": {"reward": reward, "true_and_informative": judged, "n": n}
    }  # fmt: skip


def test_parting_is_at_the_best_judged_look() -> None:
    log = [look(0, 0.0, 0.3), look(10, 0.5, 0.5), look(20, 0.8, 0.45), look(30, 1.2, 0.2)]
    assert curves.parting(log, GOLD) == curves.Parting(
        10, pytest.approx(0.7), pytest.approx(0.3), 400
    )
    assert curves.parting(log[:2], GOLD) is None  # both still rise
    assert curves.parting([look(0, 0.5, 0.5), look(10, 0.4, 0.3)], GOLD) is None  # both fall
    assert (
        curves.parting(log[:1], GOLD) is None
        and curves.parting([{"step": 1, "reward": 2.0}], GOLD) is None
    )
    assert not curves.Parting(10, 0.7, 0.3, 400).within_noise
    assert curves.Parting(10, 0.7, 0.05, 48).within_noise


def test_captions_and_the_step_that_was_kept() -> None:
    log = [look(0, 0.0, 0.5), {**look(10, 1.0, 0.2), "chosen": True, "stop_reason": "KL limit"}]
    assert curves.chosen(log) == (10, "KL limit")
    (text,) = curves.captions({0: log}, TRUTHFUL)
    assert text.startswith("Reward and judges part after step 0") and "Step 10 was kept: KL" in text
    assert [part[:7] for part in curves.captions({0: log, 3: log}, TRUTHFUL)] == [
        "Seed 0.",
        "Seed 3.",
    ]


def test_series_leaves_out_what_is_no_number() -> None:
    log = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": None}, {"step": 3}, {"step": 4, "loss": 1}]
    assert curves.series(log, "loss") == [(1, 2.0), (4, 1.0)]
    assert curves.smoothed([(1, 1.0), (2, 4.0), (3, 1.0)], 3) == [(1, 2.5), (2, 2.0), (3, 2.5)]


def test_categories_by_hand_hardest_first() -> None:
    rows = rows_of("base", "mc2", [0.2, 0.4, 0.1]) + rows_of("sft", "mc2", [0.6, 0.8, 0.7])
    of_case = {"q0": "Law", "q1": "Law", "q2": "Sport"}
    metrics = [TRUTHFUL.metric_of("truthfulness", "mc2")]
    scores = categories.category_scores(measure(rows, ["base", "sft"]), of_case, metrics)
    found = categories.category_figures(scores, "truthfulness.mc2")
    assert [(entry.category, entry.n) for entry in found] == [("Sport", 1), ("Law", 2)]
    means = {name: each.value for name, each in found[1].means["truthfulness.mc2"].items()}
    assert means == pytest.approx({"base": 0.3, "sft": 0.7})


def test_small_categories_stand_together_with_the_interval_of_all_their_cases() -> None:
    values = [0.1, 0.9, 0.2, 0.8, 0.4, 0.6, 0.3, 0.5]
    rows = rows_of("base", "mc2", values)
    places = ["Law"] * 5 + ["Sport", "Plants", "Plants"]
    of_case = {f"q{place}": name for place, name in enumerate(places)}
    metrics = [TRUTHFUL.metric_of("truthfulness", "mc2")]
    scores = categories.category_scores(measure(rows, ["base"]), of_case, metrics)
    entries = categories.category_figures(scores, "truthfulness.mc2")
    law, together = categories.small_together(scores, entries)
    assert (law.category, law.n) == ("Law", 5)
    assert (together.category, together.n) == ("2 small categories", 3)
    assert together.means["truthfulness.mc2"]["base"] == statistics.mean(values[5:])
    alone = categories.category_scores(measure(rows[:6], ["base"]), of_case, metrics)
    entries = categories.category_figures(alone, "truthfulness.mc2")
    assert categories.small_together(alone, entries) == entries  # one alone is no fold
    figure = categories.category_dots([law, together], ("base",), {"truthfulness.mc2": "MC2"})
    assert figure is not None
    assert (
        figure.wide.count('class="whisker c-base"') == figure.wide.count('class="mark c-base"') == 2
    )


def test_examples_do_not_depend_on_results(run: Path) -> None:
    def shown() -> list[str]:
        folder = RunFolder.open(run)
        rows = folder.rows()[::-1]
        found = examples.question_examples(rows, ["base", "rl"], folder.questions(), TRUTHFUL)
        return [example.prompt for example in found]

    before = shown()
    assert len(set(before)) == 10
    path = run / "rows/truthfulness/rl-seed0.jsonl"
    path.write_text(path.read_text().replace('"p_true": 0.', '"p_true": 0.9'))
    assert shown() == before


def test_the_canary_is_found_whatever_its_case() -> None:
    assert examples.highlighted("say PWNED, pwned", "Pwned") == (
        ("say ", False), ("PWNED", True), (", ", False), ("pwned", True),
    )  # fmt: skip
    assert examples.highlighted("nothing", "x") == (("nothing", False),)
    assert examples.highlighted("Straße pwned", "pwned") == (("Straße ", False), ("pwned", True))


def test_ticks_are_round_and_inside() -> None:
    assert svg.ticks(0, 1, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert svg.ticks(-0.13, 0.21, 4) == [-0.1, 0.0, 0.1, 0.2]
    assert svg.tick_label(-0.05, 0.05) == "−0.05" and svg.tick_label(0, 5) == "0"
    low, high = svg.domain([0.3])
    assert low < 0.3 < high


# --- The page ----------------------------------------------------------------------------------


def test_the_page_is_small_whole_and_asks_for_nothing(built: Path) -> None:
    text = (built / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert text.startswith("<!doctype html>") and len(text.encode()) < 3_000_000
    names = {tag for tag, _ in page.tags}
    assert not names & {"img", "iframe", "object", "form", "base", "audio", "video"}
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "action", "data"):
                assert value in ("data:,",) or str(value).startswith("#"), (tag, name, value)
    assert "url(" not in text and "@import" not in text
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv"))
    assert policy == policy_of(text) and policy.count("sha256-") == 2
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(a["href"])[1:] for t, a in page.tags if t == "a"}
    assert len(links) == 11 and links <= set(ids)
    figures = [a for t, a in page.tags if t == "svg" and a.get("role") == "img"]
    assert len(figures) == 2 * 4
    for figure in figures:
        assert set(str(figure["aria-labelledby"]).split()) <= set(ids)


def test_the_page_has_the_figures_of_the_summary(built: Path) -> None:
    summary = json.loads((built / "summary.json").read_text())
    text = " ".join("".join(Page((built / "report.html").read_text()).text).split())
    for name in ("base", "prompt", "sft", "rl"):
        for metric in ("mc1", "mc2", "true_and_informative"):
            found = summary["candidates"][name]["truthfulness"][metric]
            shown = f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
            assert shown in text, shown
    for finding in summary["findings"]:
        assert finding.removeprefix("Warning: ") in text
    assert "Step 30 was kept" in text and "they part" in text and "134 515 008" in text


def test_whatever_the_user_brings_is_inert(run: Path) -> None:
    evil = "<script>alert(1)</script> & \"'><img src=http://x onerror=y>"
    (run / "summary.json").unlink()  # a log is shorter than it was
    path = run / "questions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line |= {"prompt": evil, "category": evil, "correct_answers": [evil]}
    write_lines(path, lines)
    for path in run.glob("rows/*/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for entry in rows:
            entry["category"] = evil
            entry["detail"] |= {"answer": evil, "prompt": evil, "canary": "<img"}
        write_lines(path, rows)

    def spoil(record: Any) -> None:
        record["model"]["name"] = record["command"] = evil
        record["prompts"]["prompt"]["tried"][0]["instruction"] = evil
        record["costs"][evil] = {}
        record["candidates"].append(evil)

    edit(run / "run.json", spoil)
    edit(run / "judges.json", lambda judges: judges.update({evil: {"n": 3}}))
    with open(run / "spec.yaml", "a", encoding="utf-8") as file:
        file.write(f"# {evil}\n")
    write_lines(
        run / "logs/rl-seed0.jsonl",
        [
            {"step": 0, "reward": 1.0, "samples": [{"prompt": evil, "answer": evil}]},
            {"step": 1, "reward": 1.0, "chosen": True, "stop_reason": evil},
        ],
    )
    page = Page(build_report(run).read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 1 and "img" not in tags
    assert "".join(page.text).count("alert(1)") > 2000


def test_equal_runs_give_equal_bytes(built: Path, tmp_path: Path) -> None:
    before = (built / "report.html").read_bytes()
    build_report(built)
    assert (built / "report.html").read_bytes() == before
    again = write_run(tmp_path / "elsewhere")
    assert build_report(again).read_bytes() == before


def test_a_failed_candidate_no_logs_and_unscored_rows_do_not_break_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", measured=("base", "sft"), held_out=6, controls=3)
    shutil.rmtree(run / "logs")
    (run / "judges.json").unlink()
    reason = {"unscored": "the answer was empty"}
    write_lines(
        run / "rows/truthfulness/prompt-seed0.jsonl",
        [row("prompt", 0, "truthfulness", "q", {"mc2": reason, "true": reason})],
    )
    page = build_report(run).read_text(encoding="utf-8")
    assert "rl</strong> was not measured" in page and "1 unscored" in page
    assert "no log was kept" in page and "No agreement was measured" in page
    console = Console(width=80, record=True, file=io.StringIO())
    report_runs([run], console)
    assert "rl was not measured" in console.export_text()


@pytest.mark.parametrize("gone", ["questions.jsonl", "spec.yaml", "rows", "judges.json"])
def test_any_part_may_be_missing(run: Path, gone: str) -> None:
    """But what a report was made from isn't dropped from the next one without a word."""
    target, before = run / gone, (run / "report.html").read_bytes()
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(InputError, match="is gone that the report was made from; put it back"):
        build_report(run)
    assert (run / "report.html").read_bytes() == before
    (run / "summary.json").unlink()
    Page(build_report(run).read_text(encoding="utf-8"))


def test_a_bare_run_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"candidates": ["base", "sft"]}')
    page = build_report(tmp_path).read_text(encoding="utf-8")
    Page(page)
    assert "Nothing has been measured yet" in page and "The run is not finished" in page


def test_a_broken_row_leaves_the_old_report_alone(run: Path) -> None:
    before = (run / "report.html").read_bytes(), (run / "summary.json").read_bytes()
    with open(run / "rows/trivia/base-seed0.jsonl", "a") as file:
        file.write("{\n")
    with pytest.raises(InputError, match=r"base-seed0\.jsonl:73: not valid JSON"):
        build_report(run)
    assert ((run / "report.html").read_bytes(), (run / "summary.json").read_bytes()) == before
    assert not list(run.glob(".*"))


# --- The terminal ------------------------------------------------------------------------------


def test_the_terminal_fits_eighty_columns(built: Path) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    (document,) = report_runs([built], console)
    text = console.export_text()
    table = text[: text.index("Report: ")]
    assert max(map(len, table.splitlines())) <= 80 and "…" not in table
    assert re.search(r"MC2 +0\.\d{3} .*▲\+0\.1\d\d", text)
    assert "The reward was gamed" in text and "KL to base" in text and "1.90 GB" in text
    assert "\x1b" not in text
    assert list(document["candidates"]) == ["base", "prompt", "sft", "rl"]


def test_colour_only_where_the_interval_excludes_zero(built: Path) -> None:
    from truing.report.sections import Cell
    from truing.report.terminal import _cell

    marked = _cell(Cell("sft", "0.500", "[0.4, 0.6]", "+0.100", "[0.05, 0.15]", "gain", "▲"))
    plain = _cell(Cell("sft", "0.500", "[0.4, 0.6]", "+0.100", "[-0.05, 0.25]", "", ""))
    assert "▲+0.100" in marked.plain and "green" in str(marked.spans[0].style)
    assert "▲" not in plain.plain and str(plain.spans[0].style) == "dim"


def test_several_runs_are_all_checked_before_any_is_written(built: Path, tmp_path: Path) -> None:
    before = (built / "report.html").stat().st_mtime_ns
    with pytest.raises(InputError, match="no such folder"):
        report_runs([built, tmp_path / "nowhere"])
    assert (built / "report.html").stat().st_mtime_ns == before
