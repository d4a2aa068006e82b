"""Opinions on the page of a run: groups by candidate, and people beside the candidates' mean over seeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from synthetic_run import row, write_lines, write_run
from truing.recipes.report import build_report
from truing.report.opinion_figures import opinion_bars, opinions_section
from truing.report.svg import palette
from truing.types import Row

OPTIONS = ["good <b>indeed</b>", "fair", "bad"]


def opinion(name: str, seed: int, case: str, first: float) -> dict[str, Any]:
    """A row of a candidate that gives the first option this share, and the others the rest evenly."""
    shares = [first, (1 - first) / 2, (1 - first) / 2]
    flat = {"representativeness": 0.8, "uniform": 0.8, "permuted": 0.8, "as_printed": 0.7}
    detail = {
        "question": f"How is {case}?", "options": OPTIONS, "people": [0.5, 0.25, 0.25],
        "shares": {"letters": shares}, "groups": {"party": {"red": [0.7 + first / 10, 0.7, 90.0]}},
    }  # fmt: skip
    return row(name, seed, "opinions", case, flat | {"position": first}, detail=detail)


def test_the_page_of_a_run_draws_groups_and_questions(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", held_out=20, controls=8, seeds=(0,), resamples=100)
    for name, first in (("base", 0.2), ("sft", 0.7)):
        lines = [opinion(name, 0, f"q{n}", first + n / 100) for n in range(8)]
        write_lines(run / f"rows/opinions/{name}-seed0.jsonl", lines)
    build_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert (
        'id="opinions"' in page and "party: red" in page and "Questions that shifted most" in page
    )
    assert "&lt;b&gt;indeed" in page and "<b>indeed" not in page
    of_run = json.loads((run / "summary.json").read_text(encoding="utf-8"))["opinions"]
    (group,) = of_run["verdicts"]["sft"]["own"]["groups"]
    assert group["above_uniform"]["value"] > 0 and of_run["shifts"]


def test_a_run_without_a_survey_has_no_such_section() -> None:
    assert opinions_section(None, [], "own", palette(["base"])) is None


def test_seeds_of_a_candidate_are_one_bar_their_mean() -> None:
    of = [Row(**opinion("base", 0, "q", 0.5)), Row(**opinion("sft", 0, "q", 0.2)),
          Row(**opinion("sft", 1, "q", 0.8))]  # fmt: skip
    mean = [*of[:1], Row(**opinion("sft", 0, "q", 0.5))]
    colour = palette(["base", "sft"])
    averaged, alone = (opinion_bars(rows, colour)[0][1].wide for rows in (of, mean))
    assert averaged == alone and averaged.count('class="bar c-sft"') == len(OPTIONS)
