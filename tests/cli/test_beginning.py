"""The commands to begin with, and what a shell completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import refused, run
from tiny import saved
from truing.cli import completion
from truing.evaluate import EVALUATIONS
from truing.methods import METHODS
from truing.models.engine.int8 import multiplies_int8
from truing.models.weights.catalogue import CATALOGUE
from truing.spec.reading import PROFILES, make_spec, read_mapping
from truing.tasks import TASKS

WORKS = 8 if multiplies_int8() else 6
"""Kinds of work that the doctor works out; two are of a sampler in eight bits."""


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))


def test_init_writes_a_spec_and_leaves_one_alone() -> None:
    result = run("init", "--task", "format", "my spec.yaml")
    assert result.exit_code == 0 and "truing align" in result.stdout
    assert make_spec(read_mapping(Path("my spec.yaml"))) == make_spec({"task": "format"})
    assert "is there already" in refused(run("init", "my spec.yaml"))
    assert run("init").exit_code == 0 and Path("spec.yaml").is_file()


def test_doctor() -> None:
    document = json.loads(run("doctor", "--json").stdout)
    assert document["ok"] == all(check["ok"] for check in document["checks"])
    shown = run("doctor")
    assert shown.exit_code == 0
    assert all(f"{check['name']}: " in shown.stdout for check in document["checks"])
    assert max(map(len, shown.stdout.splitlines())) <= 80 or "/" in shown.stdout


def test_doctor_says_what_of_a_model_fits(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    document = json.loads(run("doctor", "--model", str(folder), "--json").stdout)["model"]
    work = {each["what"].partition(",")[0]: each for each in document["work"]}
    assert document["name"] == str(folder) and set(work) == {"scoring", "rollout", "learning"}
    assert len(document["work"]) == WORKS and all(each["fits"] for each in document["work"])
    for each in document["work"]:
        assert each["bytes"] == sum(each["parts"].values()) <= document["free_bytes"]
    several = run("doctor", "--model", str(folder), "--processes", "2", "--json").stdout
    shared = json.loads(several)["model"]
    assert shared["processes"] == 2 and "processes" not in document
    (one, two), layer = (d["work"][0]["parts"] for d in (document, shared)), "a layer put together"
    assert layer not in one and two["weights"] == one["weights"] - two[layer]  # of two layers, half
    assert "give --model too" in refused(run("doctor", "--processes", "2"))
    assert "isn't on this machine yet" in refused(run("doctor", "--model", "gemma3-270m"))
    assert "no such folder" in refused(run("doctor", "--model", "./nowhere"))


def test_doctor_shows_what_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("truing.recipes.fits.available_bytes", lambda device: 1)
    shown = run("doctor", "--model", str(saved(tmp_path / "model")))
    assert shown.exit_code == 0 and "0.0 GB free on cpu:" in shown.stdout
    assert shown.stdout.count("too much  ") == WORKS


def test_names_are_completed() -> None:
    assert completion.methods("") == list(METHODS)
    assert completion.evaluations("a") == [n for n in EVALUATIONS if n.startswith("a")]
    assert completion.models("smol") == [n for n in CATALOGUE if n.startswith("smol")]
    assert completion.tasks("") == list(TASKS) and completion.profiles("") == list(PROFILES)
    assert set(completion.trainings("")) <= {*METHODS, "reward", "judge"}
    assert "helpful" in completion.prompts("h") and "inspect" in completion.exports("")
    assert completion.maps("ro") == ["rooms"]


def test_a_shell_completes_values() -> None:
    words = "truing align --method pro"
    environment = {"_TRUING_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", "from truing.cli.main import main; main()"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["prompt"], done.stderr
