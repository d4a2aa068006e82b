"""An evaluation added to a finished run: the rows that the run itself would have, its report, its lock."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import filelock
import pytest
from typer.testing import CliRunner

from tiny import saved
from truing.cli.main import app
from truing.evaluate.base_draws import EACH
from truing.files import read_json, write_json_atomically
from truing.progress import SilentProgress
from truing.recipes.add_evaluation import add_evaluations
from truing.recipes.align import align
from truing.runs.folder import read_rows
from truing.spec.reading import make_spec
from truing.types import InputError, Row, Unscored

SPEC = {
    "dtype": "float32",
    "data": {"limit": 20, "control_limit": 3},
    "approaches": ["sft", "rl"],
    "seeds": [0, 1],
    "sft": {"epochs": 1, "batch_size": 8, "adapter": {"rank": 2}},
    "rl": {
        "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 3, "max_new_tokens": 6,
        "evaluate_every": 2, "monitored": 2, "adapter": {"rank": 2},
    },
    "evaluation": {
        "max_new_tokens": 6, "attacks": 3, "rules": 4, "kl_questions": 3, "resamples": 100,
        "dtype": "float32",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    spec = make_spec({"model": str(saved(folder / "model")), **SPEC})
    align(spec, folder / "run", progress=SilentProgress())
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_rows_added_later_are_those_of_the_run(run: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(run.glob("rows/*/*.jsonl"))}
    assert len(before) == 30  # five of each: the base once, two methods with two seeds
    summary = read_json(run / "summary.json")
    for name in ("rules", "attacks", "drift", "truthfulness", "hacking"):
        shutil.rmtree(run / "rows" / name)
    untouched = run / "rows" / "trivia" / "sft-seed0.jsonl"
    changed = untouched.stat().st_mtime_ns
    found = add_evaluations(
        run,
        ["rules", "attacks", "drift", "truthfulness", "hacking", "trivia"],
        SilentProgress(),
    )
    assert {path: path.read_bytes() for path in sorted(run.glob("rows/*/*.jsonl"))} == before
    assert untouched.stat().st_mtime_ns == changed
    assert found.to_json()["candidates"] == summary["candidates"]
    assert (run / "stages" / "evaluate-drift-rl-seed1.json").is_file()


def test_the_audit_of_a_reward_draws_from_the_base_once(run: Path) -> None:
    assert not (run / "draws").exists()
    audit = add_evaluations(run, ["hacking"], SilentProgress()).audit
    file = run / "draws" / "base-seed0.jsonl"
    rows = read_rows(file)
    held_out = {r.case for r in read_rows(run / "rows" / "hacking" / "base-seed0.jsonl")}
    assert {row.case for row in rows} == held_out and len(rows) == EACH * len(held_out)
    for case in held_out:
        answers = {row.detail["answer"] for row in rows if row.case == case}
        assert len(answers) > EACH // 2  # drawn, not the likeliest one again and again
    assert all({"reward", "true_and_informative"} <= row.metrics.keys() for row in rows)
    assert audit.drawn is not None and audit.drawn.points[-1].step == EACH
    before = file.stat().st_mtime_ns
    add_evaluations(run, ["hacking"], SilentProgress())
    assert file.stat().st_mtime_ns == before
    assert (run / "stages" / "draws-base-seed0.json").is_file()


def test_a_reward_and_a_base_are_those_of_the_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    command = ["eval", "hacking", "drift", "--candidate", str(run / "candidates" / "rl"), "--limit",
               "6", "--dtype", "float32", "--out", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out" / "rows.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    rows = [Row.from_json({k: v for k, v in r.items() if k != "prompt"}) for r in records]
    scores = [row.metrics[name] for row in rows for name in ("reward", "kl") if name in row.metrics]
    assert len(scores) == 12 and not any(isinstance(score, Unscored) for score in scores)


def test_what_is_no_finished_comparison_is_refused(run: Path) -> None:
    lock = filelock.FileLock(run / ".lock")
    with lock, pytest.raises(InputError, match="another process is working on this run"):
        add_evaluations(run, ["attacks"], SilentProgress())
    with pytest.raises(InputError, match="'nonsense': unknown; known: truthfulness"):
        add_evaluations(run, ["nonsense"], SilentProgress())
    for options, said in (
        (["--candidate", "x"], "leave out --candidate"),
        (["--prompt", "own"], "leave out --prompt"),
        (["--questions", "mine.csv"], "leave out --questions"),
        (["--form", "chat"], "leave out --form"),
        (["--dtype", "float32"], "leave out --dtype"),
        (["--seed", "1"], "leave out --seed"),
        (["--timeout", "9"], "leave out --timeout"),
    ):
        done = CliRunner().invoke(app, ["eval", "attacks", "--run", str(run), *options])
        assert done.exit_code == 2 and said in done.stderr
    write_json_atomically(run / "run.json", read_json(run / "run.json") | {"finished": None})
    with pytest.raises(InputError, match="isn't finished"):
        add_evaluations(run, ["attacks"], SilentProgress())


@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_whose_model_has_another_template_by_now_is_not_added_to(
    run: Path, *, recorded: bool
) -> None:
    """Unless its record, of an earlier version, says nothing of it."""
    path = Path(read_json(run / "candidates" / "base" / "candidate.json")["base"])
    template, record = path / "chat_template.jinja", read_json(run / "run.json")
    if not recorded:
        del record["identity"]["settings_hash"]
        write_json_atomically(run / "run.json", record)
    before = template.read_text()
    template.write_text(before + " ")
    try:
        if recorded:
            with pytest.raises(InputError, match="its model's tokenizer, chat template or conf"):
                add_evaluations(run, ["attacks"], SilentProgress())
        else:
            add_evaluations(run, ["attacks"], SilentProgress())
    finally:
        template.write_text(before)
