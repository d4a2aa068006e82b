"""`truing align` where pairs of answers are all that is known: nothing else is asked for, and the headline
is of held-out pairs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from judged import answers, taste, written
from tiny import saved
from truing.cli.main import app
from truing.spec.reading import make_spec
from truing.tasks.texts import read_texts
from truing.types import Case

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text("utf-8")
TASK = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])
SMALL = {
    "dtype": "float32",
    "evaluation": {"max_new_tokens": 6, "resamples": 100, "kl_questions": 2},
    "data": {"control_limit": 3, "limit": 30},
    "preference": {"prompts_per_step": 12, "learning_rate": 0.01},
    "rl": {
        "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2, "max_new_tokens": 6,
        "evaluate_every": 1, "monitored": 2, "max_kl": 1000.0,
    },
    "prompt": {"questions": 2, "shots": [0], "built_in": 1},
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRUING_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    rows = []
    for number in range(36):
        worse, better = sorted(answers(generator, 2), key=taste)
        rows.append({"prompt": f"say {number}, please", "chosen": better, "rejected": worse})
    written(rows, tmp_path / "pairs.jsonl")
    (tmp_path / "task.yaml").write_text(yaml.safe_dump(TASK))
    return tmp_path


def run(*arguments: str) -> Result:
    line = CliRunner().invoke(app, [*arguments], prog_name="truing", catch_exceptions=False)
    return line


def test_all_methods_learn_from_pairs_and_are_held_against_held_out_ones(here: Path) -> None:
    spec = {"model": str(saved(here / "model")), "task": "task.yaml", **SMALL}
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    done = run("align", "spec.yaml", "--out", "run", "--json")
    assert done.exit_code == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert list(document["candidates"]) == ["base", "prompt", "sft", "preference", "rl"]
    of_base = document["candidates"]["base"]["preferences"]
    assert of_base["wins"]["value"] == 0.5 and of_base["accuracy"]["n"] > 5
    gained = document["differences"]["preference"]["preferences"]
    assert {"accuracy", "wins", "wins_length_controlled"} <= gained.keys()
    assert document["candidates"]["preference"]["hacking"]["reward"]["value"] is not None
    page = Path("run/report.html").read_text()
    assert "Held-out preferences" in page and "preferred (reward model)" in page
    judges = json.loads(Path("run/judges.json").read_text())["preferred (reward model)"]
    record = json.loads(Path("run/run.json").read_text())
    assert judges["n"] + record["preferences"]["trained_on"] < 36  # data.limit leaves some out


def test_pairs_lie_on_the_sides_of_their_prompts() -> None:
    from truing.methods.setup import with_preferences
    from truing.progress import SilentProgress

    spec = make_spec({"task": "task.yaml", "data": {"limit": 30}}, profile=None)
    assert spec.task.headline == ("preferences.accuracy", "preferences.wins")
    assert [part.name for part in spec.reward.parts] == ["reward_model", "ends_properly"]
    texts = with_preferences(read_texts)(spec, SilentProgress())
    assert texts.preferences is not None
    train, held_out = texts.preferences.train, texts.preferences.held_out
    assert {Case(p.prompt).id for p in held_out} == {case.id for case in texts.held_out}
    assert {Case(p.prompt).id for p in train} >= {case.id for case in texts.train}
    [(reason, count)] = texts.preferences.left_out.items()
    assert "data.limit" in reason and len(train) + len(held_out) + count == 36


def test_neither_cases_nor_pairs_is_refused() -> None:
    Path("task.yaml").write_text(yaml.safe_dump({**TASK, "data": {}}))
    refused = run("align", "--task", "task.yaml", "--out", "run")
    assert refused.exit_code == 2 and not Path("run").exists()
    assert "task.yaml: data.cases: missing; name the file of what is asked" in refused.stderr
