"""Finished folders in which any file is gone, cut off or something else: one line, or a right outcome."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tiny import saved
from truing.cli.main import app
from truing.files import read_json
from truing.progress import SilentProgress
from truing.recipes.align import align
from truing.recipes.evaluate import task_cases
from truing.recipes.report import build_report
from truing.runs.run import Run
from truing.spec.reading import make_spec
from truing.types import InputError

SPEC = {
    "dtype": "float32",
    "data": {"limit": 12, "control_limit": 3},
    "methods": ["sft"],
    "sft": {"epochs": 1, "batch_size": 8, "adapter": {"rank": 2}},
    "evaluation": {
        "max_new_tokens": 4, "attacks": 2, "rules": 4, "kl_questions": 2, "resamples": 100,
        "dtype": "float32",
    },
}  # fmt: skip
WAYS: dict[str, Callable[[Path], object]] = {
    "removed": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "cut by a line": lambda path: path.write_bytes(path.read_bytes().rpartition(b"\n{")[0] + b"\n"),
    "random": lambda path: path.write_bytes(random.Random(0).randbytes(300)),
    "a list": lambda path: path.write_text("[1, 2]\n"),
    "another object": lambda path: path.write_text('{"a": 1}\n'),
    "brackets": lambda path: path.write_text("[" * 5_000),
    "digits": lambda path: path.write_text(f'{{"a": {"9" * 5000}}}\n'),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path.name)),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tampered")
    align(
        make_spec({"model": str(saved(folder / "model")), **SPEC}),
        folder / "run",
        progress=SilentProgress(),
    )
    return folder / "run"


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    build_report(folder)  # which says where it is
    return folder


def read_by_report(run: Path) -> list[Path]:
    """All that isn't a model's."""
    models = ("candidates", "state", "reward_model", "tensorboard")
    return [p for p in sorted(run.rglob("*")) if p.is_file() and not set(models) & set(p.parts)]


def tampered(run: Path, files: list[Path], way: str) -> Iterator[Path]:
    """Each file in turn, tampered with; whole again afterwards."""
    for path in files:
        content = path.read_bytes()
        WAYS[way](path)
        yield path
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(content)


def outputs(run: Path) -> dict[str, bytes]:
    return {n: (run / n).read_bytes() for n in ("report.html", "summary.json")}


def is_one_line(error: InputError) -> bool:
    return "\n" not in str(error) and len(str(error)) < 700


@pytest.mark.parametrize("way", WAYS)
def test_a_good_report_is_never_replaced_by_a_bad_one(run: Path, way: str) -> None:
    before, refused = outputs(run), set()
    made = ("report.html", "summary.json")
    for path in tampered(run, [p for p in read_by_report(run) if p.name not in made], way):
        try:
            build_report(run)
        except InputError as error:
            assert is_one_line(error) and str(run) in str(error), path
            refused.add(path.relative_to(run).parts[0])
        assert outputs(run) == before, path
    assert {"rows", "run.json", "questions.jsonl", "judges.json"} <= refused | {
        # of one line, or with a last line that has no line break
        "run.json" if way == "cut by a line" else "",
        "judges.json" if way == "cut by a line" else "",
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_report_is_made_again(run: Path, way: str) -> None:
    """It is made of the rest; a folder in its place stays."""
    before = outputs(run)["report.html"]
    for path in (run / "report.html", run / "summary.json"):
        WAYS[way](path)
        if way in ("a folder", "a link to itself"):
            with pytest.raises(InputError, match=r"a folder is there|a link that leads to itself"):
                build_report(run)
            path.rmdir() if path.is_dir() else path.unlink()
        build_report(run)
        assert outputs(run)["report.html"] == before and read_json(run / "summary.json")


def test_an_unreadable_folder_is_no_empty_one(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everybody may read everything, as root may, the system's refusal is made up."""
    before, listed = outputs(run), Path.iterdir

    def iterdir(folder: Path) -> Any:
        if folder.name in ("rows", "truthfulness", "logs"):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InputError, match=r"can't be read as a folder \(Permission denied\)"):
        build_report(run)
    assert outputs(run) == before


# --- Going on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_mark_is_told_before_any_work(run: Path, way: str) -> None:
    record = read_json(run / "run.json")
    unfinished = Run(run, SilentProgress())
    for path in tampered(run, sorted((run / "stages").iterdir()), way):
        if way in ("removed", "cut by a line"):
            continue  # that stage is done again; the whole mark is one object of several lines
        with pytest.raises(InputError) as raised, unfinished.opened(record["identity"], record):
            raise AssertionError("opened")
        assert is_one_line(raised.value) and str(path) in str(raised.value)
    with unfinished.opened(record["identity"], record):
        assert unfinished.costs()["total"]


@pytest.mark.parametrize("kind", [5, "x", [1], {"a": [1]}, None, True, -1e300], ids=str)
def test_parts_of_another_kind_are_refused_or_left_out(run: Path, kind: object) -> None:
    record = read_json(run / "run.json")
    for name in record:
        (run / "run.json").write_text(json.dumps({**record, name: kind}))
        try:
            build_report(run)
        except InputError as error:
            assert is_one_line(error) and f"run.json: {name}" in str(error)


# --- What `truing eval` leaves ------------------------------------------------------------------


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A finished evaluation of recorded answers in `out`, and the command that made it."""
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    cases = task_cases("format", SilentProgress()).cases[:2]
    lines = [{"prompt": case.prompt, "answer": "=1+1"} for case in cases]
    Path("answers.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = ["eval", "answers", "--task", "format", "--limit", "2", "--out", "out"]
    command += ["--candidate", "answers:answers.jsonl"]
    assert CliRunner().invoke(app, command).exit_code == 0
    return command


@pytest.mark.parametrize("way", WAYS)
def test_an_evaluation_is_written_again_or_refused(evaluated: list[str], way: str) -> None:
    whole = {path: path.read_bytes() for path in Path("out").iterdir()}
    for path in tampered(Path("out"), list(whole), way):
        done = CliRunner().invoke(app, evaluated)
        assert done.exit_code in (0, 2), (path, done.exception)
        if done.exit_code == 2:
            assert done.stderr.strip().splitlines()[-1].startswith("Error: out"), path
        else:
            assert (path.name == "results.json") or path.read_bytes() == whole[path]


# --- Candidates --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["removed", "emptied", "cut in half", "random", "a list", "another object",
                                 "a folder"])  # fmt: skip
def test_a_broken_candidate_is_named(run: Path, way: str) -> None:
    """Asked by the command, which ends as any command does."""
    for candidate in (run / "candidates" / "base", run / "candidates" / "sft"):
        for path in tampered(run, [p for p in sorted(candidate.iterdir()) if p.is_file()], way):
            done = CliRunner().invoke(
                app, ["chat", str(candidate), "--max-new-tokens", "1"], input="hi\n"
            )
            assert done.exit_code in (0, 2), (path, done.output, done.exception)
            if done.exit_code == 2:
                assert done.stderr.strip().splitlines()[-1].startswith("Error: "), path
