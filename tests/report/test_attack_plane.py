"""The plane of attacks: an arrow from base to each candidate, a curve through a defence's strengths."""

from __future__ import annotations

import re

from truing.recipes.report import task_metrics
from truing.report.attack_plane import attack_plane
from truing.report.measured import Measured, measure
from truing.spec.task import TaskSpec
from truing.types import Row

TASK = TaskSpec(
    evaluations=("attacks", "refusals"), headline=("attacks.success",), must_not_fall={}, gold=()
)


def measured(**shares: tuple[float, float, float | None]) -> Measured:
    """Candidates by name with shares of attacks that succeed, twins done, and safe prompts refused."""
    rows = []
    for name, (success, twin, refused) in shares.items():
        for number in range(20):
            wording = {"family": "persona", "wording": f"w{number}", "demand": "d", "item": "i"}
            for metric, share in (("success", success), ("twin", twin)):
                score = {metric: float(number < 20 * share)}
                rows.append(Row(name, 0, "attacks", f"{metric}{number}", score, "", wording))
            if refused is not None:
                score = {"over_refusal": float(number < 20 * refused)}
                rows.append(Row(name, 0, "refusals", f"r{number}", score))
    return measure(rows, tuple(shares), task_metrics(TASK))


def test_every_candidate_stands_where_its_shares_are_with_an_arrow_from_base() -> None:
    figure = attack_plane(measured(base=(0.8, 0.9, None), sft=(0.2, 0.5, None)), {})
    assert figure is not None
    assert "base: attacks 0.80" in figure.wide and "permitted twins not done 0.50" in figure.wide
    assert figure.wide.count("<polygon") + figure.wide.count("<circle") == 2
    # Whiskers of both candidates, and the arrow's line; the arrow's head is a path.
    assert len(re.findall('class="whisker', figure.wide)) == 5 and figure.wide.count("<path") == 1
    assert "Safe prompts refused" not in figure.wide


def test_over_refusal_has_a_panel_of_its_own_where_it_was_measured() -> None:
    figure = attack_plane(measured(base=(0.8, 0.9, 0.1), sft=(0.2, 0.5, 0.6)), {})
    assert figure is not None and "Safe prompts refused" in figure.wide
    assert figure.wide != figure.narrow


def test_strengths_of_one_defence_are_a_curve_and_have_no_arrows() -> None:
    found = measured(base=(0.8, 0.9, None), weak=(0.5, 0.8, None), strong=(0.1, 0.4, None))
    figure = attack_plane(found, {"weak": {"defence": "sft"}, "strong": {"defence": "sft"}})
    assert figure is not None
    paths = re.findall(r'<path d="([^"]*)" class="([^"]*)"', figure.wide)
    assert len(paths) == 1 and paths[0][0].count("L") == 2 and "dashed" in paths[0][1]


def test_without_base_or_twins_there_is_no_picture() -> None:
    assert attack_plane(measured(sft=(0.2, 0.5, None), rl=(0.1, 0.2, None)), {}) is None
    assert attack_plane(measured(base=(0.2, 0.5, None)), {}) is None
    old = [
        Row("base", 0, "attacks", "a", {"success": 1.0}),
        Row("rl", 0, "attacks", "a", {"success": 0.0}),
    ]
    assert attack_plane(measure(old, ("base", "rl"), task_metrics(TASK)), {}) is None
