"""`truing compare`: what stands side by side, what is paired, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import refused, run
from report_browsing import OVERFLOWING, UNFOUND
from synthetic_run import write_extraction_run, write_lines, write_run
from synthetic_sweep import synthetic_sweep
from truing.evaluate.sweep.folder import sweep_folder, write_sweep
from truing.files import read_jsonl
from truing.models.identity import identity_of
from truing.prompts.rendering import Prompt, prompt_to_json
from truing.prompts.variants import PromptVariant
from truing.recipes.compare_runs import ComparedRuns, check_out, compare_runs
from truing.recipes.report import metrics_of
from truing.report.measured import BASE, measure
from truing.runs.folder import RunFolder
from truing.statistics.independent import independent_difference
from truing.types import Row

SMALL: dict[str, Any] = {
    "candidates": ("base", "sft", "rl"), "held_out": 24, "controls": 20, "seeds": (0,), "resamples": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "first", **SMALL)


@pytest.fixture(scope="module")
def other(first: Path) -> Path:
    """The same with another sft, whose rows are those that rl has in the first run, and other steps."""
    folder = first.with_name("other")
    shutil.copytree(first, folder)
    for path in (folder / "rows").glob("*/sft-seed0.jsonl"):
        theirs = read_jsonl(first / "rows" / path.parent.name / "rl-seed0.jsonl")
        write_lines(path, [{**row, "candidate": "sft"} for row in theirs])
    change(folder, lambda spec: spec["rl"].update(steps=77))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"created": "2026-03-02T09:00:00Z"}))
    return folder


@pytest.fixture()
def copied(other: Path, tmp_path: Path) -> Path:
    """A run to change: of base and sft alone, without what takes long to figure."""
    ignored = shutil.ignore_patterns("rl-seed*", "rules", "attacks")
    return Path(shutil.copytree(other, tmp_path / "copied", ignore=ignored))


def change(folder: Path, how: Callable[[dict[str, Any]], object]) -> None:
    spec = yaml.safe_load((folder / "spec.yaml").read_text())
    how(spec)
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))


def rows_changed(folder: Path, evaluation: str, how: Callable[[dict[str, Any]], Any]) -> None:
    for path in (folder / "rows" / evaluation).glob("*.jsonl"):
        write_lines(path, [each for row in read_jsonl(path) if (each := how(row))])


def differences(compared: ComparedRuns, candidate: str = "sft") -> dict[str, Any]:
    """Of the second run."""
    of = compared.to_json()["differences"][candidate]
    (only,) = of.values()
    assert isinstance(only, dict)
    return only


def test_paired_differences_are_aligns_own_to_the_bit(first: Path, other: Path) -> None:
    # What stands in the other run as sft stands in the first as rl: align's report, asked with sft in the
    # place of base, says how they differ.
    run = RunFolder.open(first)
    rows = [
        Row.from_json({**row.to_json(), "candidate": {"sft": BASE, "rl": "rl"}[row.candidate]})
        for row in run.rows()
        if row.candidate in ("sft", "rl")
    ]
    own = measure(rows, (BASE, "rl"), metrics_of(run), resamples=100)
    found = differences(compare_runs([first, other]))
    paired = {
        (evaluation, metric): {k: each[k] for k in ("value", "low", "high", "n", "unscored")}
        for evaluation, of in found.items()
        for metric, each in of.items()
        if each["paired"]
    }
    wanted = {key: each.to_json() for key, each in own.differences["rl"].items()}
    assert paired == wanted and len(paired) > 10


def test_base_differs_nowhere_and_settings_are_listed(first: Path, other: Path) -> None:
    document = compare_runs([first, other]).to_json()
    figures = [
        each for of in document["differences"]["base"]["other"].values() for each in of.values()
    ]
    assert figures and all(each["value"] == 0 for each in figures if each["value"] is not None)
    assert document["settings"] == {"rl.steps": {"first": make_steps(first), "other": 77}}
    assert document["references"] == dict.fromkeys(("base", "sft", "rl", "reward model"), "first")
    assert document["runs"]["other"]["costs"]["total"]["labels"] == 950
    assert not any("copy" in text for text in document["findings"])
    assert any("By chance" in text for text in document["findings"])


def make_steps(folder: Path) -> int:
    steps = yaml.safe_load((folder / "spec.yaml").read_text())["rl"]["steps"]
    assert isinstance(steps, int)
    return steps


@pytest.mark.parametrize(
    ("changed", "why", "likelihood_too"),
    [
        (lambda spec: spec["evaluation"].update(max_new_tokens=99), "greatest length", False),
        (lambda spec: spec["judge"].update(truth="mine.jsonl"), "judge “truth”", False),
        (lambda spec: spec["evaluation"].update(dtype="float32"), "another precision", True),
    ],
)
def test_what_was_measured_otherwise_isnt_paired(
    first: Path, copied: Path, changed: Any, why: str, likelihood_too: bool
) -> None:
    change(copied, changed)
    compared = compare_runs([first, copied])
    found = differences(compared)["truthfulness"]
    assert not found["true"]["paired"] and why in found["true"]["why"]
    assert found["mc1"]["paired"] is not likelihood_too
    (sft,) = [each for each in compared.comparison.candidates if each.name == "sft"]
    of = sft.figures["truthfulness", "true"]
    assert of["first"].value and of["copied"].value
    wanted = independent_difference(of["copied"].value, of["first"].value)
    assert of["copied"].difference == wanted


def test_what_a_judge_cost_makes_it_no_other_judge(first: Path, copied: Path) -> None:
    judges = json.loads((copied / "judges.json").read_text())
    used = {"replies": 48, "seconds": 3.25, "price": 0.01, "order_changed": 0.1, "unread": 2}
    written = {name: {**of, **used} for name, of in judges.items()}
    (copied / "judges.json").write_text(json.dumps(written))
    assert differences(compare_runs([first, copied]))["truthfulness"]["true"]["paired"]
    written["truth"]["by"] = "another at http://127.0.0.1:9"
    (copied / "judges.json").write_text(json.dumps(written))
    assert not differences(compare_runs([first, copied]))["truthfulness"]["true"]["paired"]


def test_runs_of_another_version_arent_paired(first: Path, copied: Path) -> None:
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"truing": "9.9.9"}))
    compared = compare_runs([first, copied])
    assert not differences(compared)["trivia"]["mc1"]["paired"]
    assert any("another version of Truing" in text for text in compared.to_json()["findings"])


def test_rewards_of_another_kind_have_no_difference(first: Path, copied: Path) -> None:
    change(copied, lambda spec: spec["reward"].update(truth=0.5))
    found = differences(compare_runs([first, copied]))["hacking"]["reward"]
    assert found == {"value": None, "paired": False, "why": "another reward"}


def test_common_cases_are_paired_and_counted(first: Path, copied: Path) -> None:
    kept = {row.case for row in RunFolder.open(copied).rows() if row.evaluation == "trivia"}
    some = set(sorted(kept)[:15])
    rows_changed(copied, "trivia", lambda row: row if row["case"] in some else None)
    found = differences(compare_runs([first, copied]))["trivia"]["mc1"]
    assert found["paired"] and found["n"] == 15
    assert found["why"] == "15 of 20 and 15 cases are in both"


@pytest.mark.parametrize("how", ["others", "changed"])
def test_other_cases_arent_paired_and_it_is_said(first: Path, copied: Path, how: str) -> None:
    if how == "others":
        rows_changed(copied, "trivia", lambda row: row | {"case": f"x{row['case']}"[:16]})
    else:  # asked the same, but something else is right
        cases = read_jsonl(copied / "questions.jsonl")
        write_lines(
            copied / "questions.jsonl", [case | {"correct_answers": ["No."]} for case in cases]
        )
    compared = compare_runs([first, copied])
    found = differences(compared)["trivia"]["mc1"]
    assert not found["paired"] and "0 of 20 and 20 cases are in both" in found["why"]
    assert found["value"] is not None and found["low"] < found["value"] < found["high"]
    assert any("not paired (0 of 20" in text for text in compared.to_json()["findings"])


def test_a_copy_and_an_unfinished_run_are_said(first: Path, copied: Path, tmp_path: Path) -> None:
    shutil.copytree(first, tmp_path / "copy")
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"finished": None}))
    shutil.rmtree(copied / "rows" / "drift")
    said = compare_runs([first, tmp_path / "copy", copied]).to_json()["findings"]
    assert "copy began as a copy of first: what both share is no second measurement." in said
    assert "copied isn’t finished: figures may be missing." in said


def test_tasks_have_their_controls_in_common_at_most(first: Path, tmp_path: Path) -> None:
    extraction = write_extraction_run(tmp_path / "extraction", ("base", "sft"), held_out=30)
    compared = compare_runs([first, extraction])
    found = differences(compared)
    assert set(found) == {"trivia", "drift", "hacking"}
    # Controls of the same names are the same cases; the rest is of another task.
    assert found["drift"]["answer_tokens"]["why"] == "another task"
    assert "task.name" in compared.to_json()["settings"]


def test_three_runs_with_a_page(first: Path, other: Path, copied: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    change(copied, lambda spec: spec["task"].update(instruction="<script>alert(1)</script>"))
    result = run("compare", first, other, copied, "--out", page)
    assert result.exit_code == 0, result.output
    assert f"Page: {page}" in result.stdout and "rl.steps" in result.stdout
    text = page.read_text()
    assert "alert(1)</script>" not in text and "&lt;script&gt;alert(1)" in text
    assert "While they learned" in text and "default-src 'none'" in text
    check_out(page)  # its own page may be written anew


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser_whatever_runs_are_called(
    browser: Any, first: Path, copied: Path, tmp_path: Path, width: int
) -> None:
    odd = copied.rename(tmp_path / f'it\'s a "run" of <b>llama<_b> {"x" * 90}')
    out = tmp_path / "page.html"
    compare_runs([first, odd]).write(out)
    page = browser.new_page(viewport={"width": width, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(out.as_uri(), wait_until="load")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOWING) == [] and complaints == []
    assert page.evaluate(UNFOUND) == [] and page.locator("main h1").text_content().count("<b>") == 1
    page.close()


def test_json_is_one_document(first: Path, other: Path) -> None:
    result = run("compare", first, other, "--json")
    document = json.loads(result.stdout)
    assert set(document) == {
        "runs", "candidates", "differences", "references", "learning", "settings", "findings",
    }  # fmt: skip
    own = document["candidates"]["sft"]["first"]["truthfulness"]["mc1"]
    assert set(own) == {"value", "low", "high", "n", "unscored"}


# --- Evaluations ---------------------------------------------------------------------------------


def evaluated(folder: Path, name: str, prompts: tuple[str, ...] = ("own",)) -> Path:
    result = synthetic_sweep(names=(name,), prompts=prompts, questions=20)
    write_sweep(result, sweep_folder(result.spec, folder), "truing eval")
    return folder


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("sweeps")
    return evaluated(root / "a", "small-one"), evaluated(root / "b", "large-one")


def test_lone_candidates_of_evaluations_stand_side_by_side(sweeps: tuple[Path, Path]) -> None:
    document = compare_runs(sweeps).to_json()
    assert set(document["differences"]) == {"the candidate"}
    found = document["differences"]["the candidate"]["b"]["truthfulness"]["mc1"]
    assert found["paired"] and found["n"] == 19  # one row is unscored
    assert document["runs"]["b"]["candidate"] == "large-one"


def test_an_evaluation_stands_beside_a_run_of_align(first: Path, tmp_path: Path) -> None:
    folder, own = tmp_path / "eval", RunFolder.open(first)
    questions = own.questions()
    rows = [
        row.to_json() | {"prompt": "own", "detail": {"question": questions[row.case]["prompt"]}}
        for row in own.rows()
        if row.candidate == "rl" and row.evaluation == "trivia"
    ]
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"finished": True, "seed": 0}))
    write_lines(folder / "rows.jsonl", [row | {"candidate": "sft"} for row in rows])
    found = differences(compare_runs([first, folder]))["trivia"]["mc1"]
    assert found["paired"] and found["n"] == 20


PROMPT = Prompt("Answer in one sentence.")


@pytest.fixture()
def with_weights(first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first run with folders of candidates: a base, adapters of it, and one that chooses among the
    base's answers; rl is there of two seeds."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    ignored = shutil.ignore_patterns("rules", "attacks", "hacking", "drift", "truthfulness")
    folder = Path(shutil.copytree(first, tmp_path / "align", ignore=ignored))
    base = tmp_path / "model"
    for place in (base, folder / "candidates/base", folder / "candidates/best_of_n"):
        place.mkdir(parents=True)
        (place / "model.safetensors").write_bytes(b"base")
        (place / "config.json").write_text('{"model_type": "llama"}')
    for name in ("sft", "rl", "rl-seed1"):
        (folder / "candidates" / name).mkdir()
        (folder / "candidates" / name / "adapter_config.json").write_text("{}")
        (folder / "candidates" / name / "adapter_model.safetensors").write_bytes(name.encode())
    for place in (folder / "candidates").iterdir():
        record = {"prompt": prompt_to_json(PROMPT), "base": str(base)}
        chooses = {"best_of_n": {}} if place.name == "best_of_n" else {}
        (place / "candidate.json").write_text(json.dumps(record | chooses))
    change(folder, lambda spec: spec.update(seeds=[0, 1]))
    for name, seed, of in (("rl", 1, "rl"), ("best_of_n", 0, "base")):
        rows = read_jsonl(folder / f"rows/trivia/{of}-seed0.jsonl")
        write_lines(
            folder / f"rows/trivia/{name}-seed{seed}.jsonl",
            [row | {"candidate": name, "seed": seed} for row in rows],
        )
    return folder


def evaluation_of(run: Path, out: Path, models: dict[str, tuple[str, str, str]]) -> Path:
    """What `truing eval trivia` leaves of candidates by name: each with the folder in the run that its
    weights are those of, its own prompt, and the candidate of the run whose rows it has."""
    base, out_rows, about = run.parent / "model", [], {}
    for name, (place, prompt, rows) in models.items():
        folder = run / "candidates" / place if place else base
        about[name] = {"weights": identity_of(folder, base, base).hash, "prompt": prompt}
        for row in read_jsonl(run / f"rows/trivia/{rows}.jsonl"):
            detail = {"question": row["case"]}
            out_rows.append(row | {"candidate": name, "seed": 0, "prompt": "own", "detail": detail})
    own = PromptVariant("own", instruction=PROMPT.instruction).id
    document = {"finished": True, "models": about, "prompts": {"own": own}}
    out.mkdir()
    (out / "results.json").write_text(json.dumps(document))
    write_lines(out / "rows.jsonl", out_rows)
    return out


def test_the_same_weights_stand_side_by_side_whatever_they_are_called(
    with_weights: Path, tmp_path: Path
) -> None:
    own, none = PROMPT.id, Prompt().id
    chosen = str(with_weights / "candidates/best_of_n")
    models = {
        "some/model": ("", none, "base-seed0"),  # told the task's instruction, as base is
        "mine/sft-seed0": ("sft", own, "sft-seed0"),
        "second": ("rl-seed1", own, "rl-seed1"),
        chosen: ("best_of_n", own, "base-seed0"),
        "sft": ("rl", own, "rl-seed0"),  # another one under a name of the run
    }
    folder = evaluation_of(with_weights, tmp_path / "eval", models)
    document = compare_runs([with_weights, folder]).to_json()
    assert set(document["differences"]) == {"base", "sft", "rl, seed 1", "rl, seed 0", "best_of_n"}
    for of in document["differences"].values():
        assert of["eval"]["trivia"]["mc1"]["value"] == 0  # its own rows
        assert of["eval"]["trivia"]["mc1"]["paired"]
    said = "mine/sft-seed0 of eval is sft of align: it has the same weights and the same prompt."
    assert said in document["findings"]
    del models["sft"]
    other = evaluation_of(with_weights, tmp_path / "late", models)
    again = compare_runs([other, with_weights]).to_json()  # in whatever order they are given
    assert set(again["differences"]) == {"base", "sft", "rl, seed 1", "best_of_n"}


def test_other_weights_or_prompts_under_one_name_arent_the_same(
    with_weights: Path, tmp_path: Path
) -> None:
    own = PROMPT.id
    models = {
        "sft": ("best_of_n", "0" * 16, "base-seed0"),
        "base": ("base", Prompt("Else.").id, "base-seed0"),
        "twice": ("rl", own, "rl-seed0"),
    }
    folder = evaluation_of(with_weights, tmp_path / "eval", models)
    document = compare_runs([with_weights, folder]).to_json()
    assert set(document["differences"]) == {"rl, seed 0"}
    for what in ("sft of eval has other weights than", "base of eval has another prompt than"):
        assert any(text.startswith(what) for text in document["findings"])
    shutil.rmtree(tmp_path / "model")  # then the name alone is left
    document = compare_runs([with_weights, folder]).to_json()
    assert set(document["differences"]) == {"base", "sft"}
    assert sum("by its name alone" in text for text in document["findings"]) == 2


def test_two_of_one_content_stay_two(with_weights: Path, tmp_path: Path) -> None:
    own = PROMPT.id
    models = {
        "copy": ("sft", own, "rl-seed0"),  # rows of another, to tell who stands where
        "sft": ("sft", own, "sft-seed0"),
        "base": ("sft", own, "rl-seed0"),
    }
    folder = evaluation_of(with_weights, tmp_path / "eval", models)
    document = compare_runs([with_weights, folder]).to_json()
    assert set(document["differences"]) == {"sft"}  # base of the evaluation isn't base
    assert document["differences"]["sft"]["eval"]["trivia"]["mc1"]["value"] == 0
    assert "Only eval has figures of copy and base of eval." in document["findings"]
    assert sum("So has sft, which stands beside it." in each for each in document["findings"]) == 2
    assert not any("other seeds" in each for each in document["findings"])


def test_an_unfinished_evaluation_is_refused(sweeps: tuple[Path, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sweeps[0], tmp_path / "half"))
    (folder / "results.json").write_text(json.dumps({"digest": "x", "finished": False}))
    message = refused(run("compare", sweeps[0], folder))
    assert "half" in message and "isn't finished" in message and "\n" not in message


# --- What is refused -----------------------------------------------------------------------------


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder / "rows")
    shutil.rmtree(folder / "logs")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"reward_model": {}}))
    return folder


def _broken(folder: Path) -> Path:
    (folder / "rows" / "trivia" / "sft-seed0.jsonl").write_text("{")
    return folder


def _judge(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "judge_training.json").write_text("{}")
    return folder


def _reward_model(folder: Path) -> Path:
    shutil.rmtree(folder)
    folder.mkdir()
    record = {"finished": "now", "document": {"held_out": {"other prompts": 1}, "costs": 2}}
    (folder / "reward_training.json").write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda folder: folder / "nowhere", "no such folder"),
        (lambda folder: folder / "run.json", "a file, not a run"),
        (lambda folder: folder / "rows", "not a run"),
        (_judge, "a judge"),
        (_reward_model, "has no figures yet"),
        (_empty, "has no figures yet"),
        (_broken, "sft-seed0.jsonl:1"),
    ],
)
def test_what_is_no_run_is_one_line(first: Path, copied: Path, made: Any, words: str) -> None:
    message = refused(run("compare", first, made(copied)))
    assert words in message and "\n" not in message


def test_one_run_or_one_twice_is_refused(first: Path) -> None:
    assert "give two or more" in refused(run("compare", first))
    again = first.parent / "." / first.name
    assert "given twice" in refused(run("compare", first, again))


def test_nothing_in_common_is_refused(first: Path, sweeps: tuple[Path, Path]) -> None:
    message = refused(run("compare", first, sweeps[0]))
    assert "no two have a candidate with an evaluation in common" in message


def test_pages_take_the_place_of_nothing_else(first: Path, other: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<p>My own.</p>")
    for out, words in (
        (mine, "no page of"),
        (first / "run.json", "must end in .html"),
        (tmp_path, "must end in .html"),
        (mine / "page.html", "can't be written"),  # a file is no folder
    ):
        assert words in refused(run("compare", first, other, "--out", out))
    assert mine.read_text() == "<p>My own.</p>" and (first / "run.json").stat().st_size > 100
