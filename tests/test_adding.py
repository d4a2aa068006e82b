"""What CONTRIBUTING.md says of adding things: each example is one file and one line, and they all run."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from commands import run
from paths import ROOT
from tiny import saved
from truing.evaluate import EVALUATIONS
from truing.judges.checks import CHECKS
from truing.learn.objectives import OBJECTIVES
from truing.methods import METHODS
from truing.rewards.program import REWARDS
from truing.tasks import TASKS

SPEC = """
methods: [terse, rl]
data: {limit: 30, control_limit: 3}
rl: {steps: 2, prompts_per_step: 2, samples_per_prompt: 3, max_new_tokens: 6, evaluate_every: 2,
     monitored: 2, adapter: {rank: 2}, objective: {name: sign, scale: 0.5}}
evaluation: {max_new_tokens: 6, rules: 8, resamples: 100}
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The page's files as a package that lies elsewhere."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"<!-- file: (\w+)\.py -->\n```python\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / "added_here"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name, text in files:
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = {name: importlib.import_module(f"added_here.{name}") for name, _ in files}
    yield modules
    for name in [name for name in sys.modules if name.startswith("added_here")]:
        del sys.modules[name]


def test_one_of_each_takes_a_file_and_a_line(
    added: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EVALUATIONS, "words", added["words"].WORDS)
    monkeypatch.setitem(OBJECTIVES, "sign", added["sign"].Sign)
    monkeypatch.setitem(REWARDS, "vowels", added["vowels"].Vowels)
    monkeypatch.setitem(CHECKS, "polite", added["polite"].polite)
    monkeypatch.setitem(METHODS, "terse", added["terse"].TERSE)
    monkeypatch.setitem(TASKS, "echo", "added_here.echo")

    (tmp_path / "spec.yaml").write_text(SPEC)
    arguments = (tmp_path / "spec.yaml", "--task", "echo", "--model", saved(tmp_path / "model"))
    done = run("align", *arguments, "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)["candidates"]
    assert set(figures) == {"base", "terse", "rl"}
    for each in figures.values():
        assert set(each) == {"answers", "words"} and set(each["answers"]) == {"same", "polite"}
        assert each["words"]["words"]["value"] >= 0
    log = (tmp_path / "run" / "logs" / "rl-seed0.jsonl").read_text().splitlines()
    assert len(log) == 2
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Length in words" in page and "terse" in page
    card = (tmp_path / "run" / "candidates" / "rl" / "README.md").read_text(encoding="utf-8")
    assert "the sign of the advantage" in card and "vowels" in card


def test_an_added_evaluation_is_in_the_default_comparison(
    added: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    from truing.spec.run import Spec

    assert "words" not in Spec().task.evaluations
    monkeypatch.setitem(EVALUATIONS, "words", added["words"].WORDS)
    assert "words" in Spec().task.evaluations
