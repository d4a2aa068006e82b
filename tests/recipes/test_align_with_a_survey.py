"""A task with a survey in the main job: signed metrics pass its report, also when measured again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from commands import run
from tiny import saved
from truing.files import read_json
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.spec.reading import make_spec

SURVEY = "\n".join(
    json.dumps({
        "question": f"How much of {what} is enough?",
        "options": ["None", "Some", "All of it"],
        "scale": "equal",
        "groups": {"place": {"north": {"shares": [0.2, 0.7, 0.1], "n": 40},
                             "south": {"shares": shares, "n": 60}}},
    })
    for what, shares in (("it", [0.3, 0.4, 0.3]), ("tea", [0.1, 0.1, 0.8]), ("sun", [1, 0, 0]))
)  # fmt: skip


def spec_of(folder: Path, model: Path, survey: str | None) -> object:
    asked = {} if survey is None else {"survey": survey}
    return make_spec({
        "model": str(model),
        "dtype": "float32",
        "data": {"limit": 12, "control_limit": 2},
        "methods": ["sft"],
        "task": {"evaluations": ["trivia"], "headline": ["trivia.mc1"], "gold": [], **asked},
        "sft": {"epochs": 1, "batch_size": 8, "adapter": {"rank": 2}},
        "evaluation": {"max_new_tokens": 4, "resamples": 100, "dtype": "float32"},
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("surveyed")
    saved(folder / "model")
    (folder / "survey.jsonl").write_text(SURVEY + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    spec = spec_of(folder, folder / "model", str(folder / "survey.jsonl"))
    align(spec, folder / "run", progress=SilentProgress())
    return folder / "run"


def test_a_task_with_a_survey_is_aligned_to_the_end(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "rows/opinions/base-seed0.jsonl").open()]
    above = [row["metrics"]["above_uniform"] for row in rows]
    assert len(rows) == 3 and min(above) < 0 < max(above)  # the metric is signed indeed
    figures = read_json(finished / "summary.json")["candidates"]["base"]["opinions"]
    assert figures["above_uniform"]["value"] == pytest.approx(sum(above) / 3)
    assert "above_uniform" in read_json(finished / "summary.json")["differences"]["sft"]["opinions"]


def test_opinions_of_a_finished_run_are_measured_again(finished: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(finished, tmp_path / "run"))
    before = (again / "rows/opinions/sft-seed0.jsonl").read_bytes()
    (again / "rows/opinions/sft-seed0.jsonl").unlink()
    done = run("eval", "opinions", "--run", again)
    assert done.exit_code == 0, done.output
    assert (again / "rows/opinions/sft-seed0.jsonl").read_bytes() == before
