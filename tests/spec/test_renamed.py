"""Names that have changed: read as before, said once, and never guessed at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from truing.cli.common import spec_of
from truing.learn import RejectionSampling
from truing.runs.folder import RunFolder
from truing.spec.reading import make_spec
from truing.spec.renamed import up_to_date
from truing.spec.run import Spec
from truing.types import InputError

OLD: dict[str, Any] = {"rl": {"objective": {"name": "best_of_n"}, "steps": 3}}
NOTE = "rl.objective.name: best_of_n is called rejection_sampling now"
DIGEST = "d3177aa9070c827a"  # of a spec of three methods that names no judgements
TABLE = {"ways": "methods", "rl.watched": "rl.monitored", "model: old": "model: new"}


def test_an_old_name_is_read_everywhere() -> None:
    for spec in (make_spec(OLD), Spec(**OLD), make_spec(OLD, profile=None)):
        assert spec.rl.objective == RejectionSampling() and spec.rl.steps == 3
    assert OLD["rl"]["objective"] == {"name": "best_of_n"}  # the caller's own is left alone


def test_the_new_name_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "my.yaml"
    file.write_text("rl: {objective: {name: best_of_n}}\n")
    assert spec_of(file, "default", {}).rl.objective.name == "rejection_sampling"
    said = capsys.readouterr()
    assert said.err == f"{file}: {NOTE}\n" and said.out == ""
    file.write_text("rl: {objective: {name: rejection_sampling}}\n")
    spec_of(file, "default", {})
    assert capsys.readouterr().err == ""


def test_an_old_run_folder_reads(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"candidates": ["base"]}')
    (tmp_path / "spec.yaml").write_text("rl: {objective: {name: best_of_n}}\n")
    assert RunFolder.open(tmp_path).spec() == {"rl": {"objective": {"name": "rejection_sampling"}}}


def test_keys_and_values_are_renamed() -> None:
    old = {"ways": ["rl"], "rl": {"watched": 3, "steps": 2}, "model": "old"}
    new, notes = up_to_date(old, TABLE)
    assert new == {"methods": ["rl"], "rl": {"monitored": 3, "steps": 2}, "model": "new"}
    assert notes == [
        "ways is called methods now",
        "rl.watched is called rl.monitored now",
        "model: old is called new now",
    ]
    assert up_to_date(new, TABLE) == (new, [])


def test_what_is_not_an_old_name_is_left() -> None:
    for data in ({"model": "other"}, {"rl": 3}, {"rl": None}, {}, {"rl": {"objective": "x"}}):
        assert up_to_date(data, TABLE) == (data, [])
        assert up_to_date(data) == (data, [])


def test_old_and_new_together_are_refused() -> None:
    with pytest.raises(InputError, match="ways: is called methods now, and both are there"):
        up_to_date({"ways": ["rl"], "methods": ["sft"]}, TABLE)


@pytest.mark.parametrize("place", ["reward", "task.reward"])
def test_the_probes_that_were_called_a_reward_model(place: str) -> None:
    parts = [{"name": "length", "target": 3}, {"name": "reward_model", "weight": 2}]
    old: dict[str, Any] = {"reward": {"parts": parts}}
    old = {"task": {"name": "truthful", **old}} if place.startswith("task") else old
    new, notes = up_to_date(old)
    assert notes == [
        f"{place}.parts.1: reward_model without a folder (`from`) is called truth_probe now"
    ]
    assert up_to_date(new) == (new, [])
    assert parts[1]["name"] == "reward_model"  # the caller's own is left alone


def test_a_reward_model_from_a_folder_keeps_its_name_and_judgements_want_one() -> None:
    trained = {"reward": {"parts": [{"name": "reward_model", "from": "runs/mine"}]}}
    assert up_to_date(trained) == (trained, [])
    assert make_spec(trained).reward.parts[0].options == {"from": "runs/mine"}
    old = {"reward": {"parts": [{"name": "reward_model"}]}}
    assert make_spec(old).reward.parts[0].name == Spec(**old).reward.parts[0].name == "truth_probe"
    with pytest.raises(InputError, match="name the folder that it leaves as `from`"):
        make_spec({**old, "reward_model": {"judgements": "mine.jsonl"}})


def test_a_spec_without_judgements_reads_as_before_there_were_any() -> None:
    spec = make_spec({"methods": ["prompt", "sft", "rl"]})
    assert "reward_model" not in spec.model_dump() and "reward_model" not in spec.to_yaml()
    assert spec.digest() == DIGEST
    own = make_spec({"reward_model": {"judgements": "mine.jsonl"}})
    assert own.digest() != DIGEST and make_spec(own.model_dump(), profile=None) == own
