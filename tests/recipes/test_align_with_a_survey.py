"""A task with a survey in the main job: signed metrics pass its report, also when measured again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import byte_bpe
from commands import refused, run
from truing.files import read_json
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.spec.reading import make_spec, read_mapping
from truing.tasks.metrics import check_measures
from truing.tasks.task import task_of
from truing.types import InputError

ENDS = ([1, 0, 0], [0, 0, 1])


def survey(*things: str) -> str:
    """For each thing a question whose people all say nothing, and one whose people all say everything."""
    return "".join(
        json.dumps({
            "question": f"How much {what} is enough?", "options": [f"No {what}", "Some", word],
            "scale": "equal", "groups": {"place": {"here": {"shares": shares, "n": 40}}},
        }) + "\n"
        for what in things
        for word, shares in zip(("All", "Everything"), ENDS, strict=True)
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
    config = byte_bpe.saved(folder / "model") / "config.json"  # its letters are tokens
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "max_position_embeddings": 4096})
    )
    (folder / "survey.jsonl").write_text(survey("tea", "sun", "rain"), "utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path) -> Path:
    spec = spec_of(folder, folder / "model", str(folder / "survey.jsonl"))
    align(spec, folder / "run", progress=SilentProgress())
    return folder / "run"


def test_a_task_with_a_survey_is_aligned_to_the_end(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "rows/opinions/base-seed0.jsonl").open()]
    above = [row["metrics"]["above_uniform"] for row in rows]
    assert len(rows) == 6 and min(above) < 0  # the metric is signed indeed
    figures = read_json(finished / "summary.json")["candidates"]["base"]["opinions"]
    assert figures["above_uniform"]["value"] == pytest.approx(sum(above) / 6)
    assert "above_uniform" in read_json(finished / "summary.json")["differences"]["sft"]["opinions"]


def test_opinions_of_a_finished_run_are_measured_again(finished: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(finished, tmp_path / "run"))
    other = tmp_path / "other.jsonl"
    other.write_text(survey("salt"), "utf-8")
    wrong = refused(run("eval", "opinions", "--run", again, "--survey", other))
    assert "names one, which is asked; leave out --survey" in wrong
    assert "belongs to opinions" in refused(run("eval", "rules", "--run", again, "--survey", other))
    before = (again / "rows/opinions/sft-seed0.jsonl").read_bytes()
    (again / "rows/opinions/sft-seed0.jsonl").unlink()
    done = run("eval", "opinions", "--run", again)
    assert done.exit_code == 0, done.output
    assert (again / "rows/opinions/sft-seed0.jsonl").read_bytes() == before


def test_a_run_whose_task_names_none_is_asked_later(
    finished: Path, folder: Path, tmp_path: Path
) -> None:
    later = Path(shutil.copytree(finished, tmp_path / "run"))
    shutil.rmtree(later / "rows/opinions")
    spec = later / "spec.yaml"
    spec.write_text("".join(line for line in spec.open() if "survey:" not in line))
    assert "names no survey; opinions" in refused(run("eval", "opinions", "--run", later))
    record = read_json(later / "run.json")
    record["identity"].pop("task_hash")  # the task of a run that never had a survey
    spec_of_later = make_spec(read_mapping(spec), profile=None, where=str(spec))
    record["identity"]["task_hash"] = task_of(spec_of_later).content_hash()
    (later / "run.json").write_text(json.dumps(record))
    command = ("eval", "opinions", "--run", later, "--survey")
    done = run(*command, folder / "survey.jsonl")
    assert done.exit_code == 0, done.output
    rows = "rows/opinions/base-seed0.jsonl"
    assert (later / rows).read_bytes() == (finished / rows).read_bytes()
    other = tmp_path / "other.jsonl"
    other.write_text(survey("salt"), "utf-8")
    assert "has the opinions of another survey" in refused(run(*command, other))


def test_the_usual_guard_goes_with_its_evaluation(tmp_path: Path) -> None:
    """A survey beside answers alone isn't refused for trivia that nobody asked to measure."""
    asked = {"evaluations": ["opinions"], "headline": ["opinions.representativeness"], "gold": []}
    assert make_spec({"task": asked}).task.must_not_fall == {}
    (tmp_path / "cases.jsonl").write_text(
        "".join(
            json.dumps({"prompt": f"Say {n}.", "references": [str(n)]}) + "\n" for n in range(20)
        )
    )
    (tmp_path / "task.yaml").write_text(
        "name: parks\ninstruction: Say it.\ndata: {cases: cases.jsonl}\nevaluations: [answers]\n"
        "judges: {same: {program: exact}}\n"
    )
    task = make_spec({"task": str(tmp_path / "task.yaml")}).task
    assert task.must_not_fall == {}
    again = make_spec({"task": task.model_dump(mode="json")}).task  # as a run's folder keeps it
    assert again.must_not_fall == {}
    guarded = {**asked, "must_not_fall": {"trivia.mc1": 0.05}}
    with pytest.raises(InputError, match="no evaluation of the task gives it") as raised:
        check_measures(make_spec({"task": guarded}).task)
    assert str(raised.value).endswith("more") and len(str(raised.value)) < 600
