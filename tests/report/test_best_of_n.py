"""The picture of the best of n: lines that are the estimator's, captions that say what is gained."""

from __future__ import annotations

import numpy as np
import pytest

from truing.recipes.report import task_metrics
from truing.report.best_of_n import best_of_n_figure, best_of_n_json, best_of_n_table
from truing.report.metrics import number
from truing.spec.task import TaskSpec
from truing.statistics.best_of_n import kl_bound
from truing.types import Row

TASK = task_metrics(TaskSpec())
DRAWS = 8


def rows(names: tuple[str, ...] = ("base", "rl"), agreeing: float = 1.0) -> list[Row]:
    """Rewards of 0 to 7 in every case; the judged figure is 1 for the upper half, or for the lower."""
    rng = np.random.default_rng(0)
    made = []
    for name in names:
        for case in range(20):
            rewards = [float(each) for each in rng.permutation(DRAWS)]
            judged = [float((each >= DRAWS / 2) == (agreeing > 0)) for each in rewards]
            detail = {
                "answer": "<b>yes</b>",
                "rewards": rewards,
                "values": {"true_and_informative": judged, "words": judged},
            }
            made.append(Row(name, 0, "best_of_n", f"c{case}", {"reward": 7.0}, "", detail))
    return made


def test_the_table_has_the_figures_of_the_estimator() -> None:
    table = best_of_n_table(rows(), ("base", "rl"), TASK)
    assert (table.names, table.cases) == (("base", "rl"), 20)
    assert table.columns[0] == "KL, at most" and len(table.columns) == 5
    assert [n for n, _ in table.rows] == ["1", "2", "4", "8"]
    one, two = table.rows[0][1], table.rows[1][1]
    assert one[0] == "0.00" and two[0] == f"{kl_bound(2):.2f}"
    # The larger of two of 0 to 7 is 5 in the mean; it is among the upper four unless both are below.
    assert one[1].startswith(number(3.5, "reward")) and two[1].startswith(number(5.0, "reward"))
    assert one[2].startswith("0.50") and two[2].startswith(number(1 - 6 / 28))


@pytest.mark.parametrize(("agreeing", "words"), [(1.0, "+0.50"), (-1.0, "−0.50")])
def test_the_caption_says_what_choosing_gains(agreeing: float, words: str) -> None:
    (caption,) = best_of_n_table(rows(("base",), agreeing), ("base",), TASK).captions
    assert (
        f"best of 8 by the reward changes training reward by {number(3.5, 'reward', sign=True)}"
        in caption
    )
    assert f"true and informative by {words}" in caption
    assert f"at most {kl_bound(8):.2f} nats" in caption and "within noise" not in caption


def test_a_line_and_a_band_for_each_candidate_and_panel() -> None:
    figure = best_of_n_figure(rows(), ("base", "rl"), TASK)
    assert figure is not None
    for svg in (str(figure.wide), str(figure.narrow)):
        assert svg.count('class="band') == 4 and svg.count("<path") == 4
        assert "Training reward" in svg and "True and informative" in svg
    assert "best of 8" in figure.wide and "KL in nats at most" in figure.wide


def test_the_whole_curve_is_in_the_json_document() -> None:
    curves = best_of_n_json(rows(), ("base", "rl", "sft"))["best_of_n"]
    assert curves.keys() == {"base", "rl"} and [*curves["rl"]["reward"]] == list("12345678")
    best = curves["rl"]["reward"]["8"]
    assert (best["value"], best["n"], best["kl_at_most"]) == (7.0, 20, kl_bound(8))
    assert curves["base"]["true_and_informative"]["1"]["value"] == pytest.approx(0.5)
    assert best_of_n_json([], ("base",)) == {}


def test_without_draws_there_is_no_picture() -> None:
    other = [Row("base", 0, "best_of_n", "c", {}, "", {"rewards": [], "values": {}})]
    for none in ([], other, [Row("base", 0, "trivia", "c", {"mc1": 1.0})]):
        assert best_of_n_figure(none, ("base",), TASK) is None
        assert best_of_n_table(none, ("base",), TASK).rows == ()


def test_draws_without_a_score_and_without_a_judge() -> None:
    detail = {"answer": None, "rewards": [None, 1.0, 2.0], "values": {}}
    lone = [Row("base", 0, "best_of_n", "c", {}, "", detail)]
    table = best_of_n_table(lone, ("base",), TASK)
    assert len(table.columns) == 2 and table.rows[-1][1][1].startswith(number(2.0, "reward"))
    assert best_of_n_figure(lone, ("base",), TASK) is not None
