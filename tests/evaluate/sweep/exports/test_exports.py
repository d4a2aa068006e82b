"""Rows in the forms of other programs, read by pyarrow and held to what those programs write."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from synthetic_sweep import synthetic_sweep
from truing.evaluate.sweep.exports import EXPORTS, exports
from truing.evaluate.sweep.result import SweepResult
from truing.prompts.variants import Context
from truing.types import InputError

BEGUN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture(scope="module")
def result() -> SweepResult:
    found = synthetic_sweep(names=["middle <b>one</b>"], prompts=["own", "none"], questions=5)
    for line in found.lines:
        asked = found.asked[line.evaluation].cases
        key = (line.candidate, line.evaluation, line.prompt)
        found.contexts[key] = tuple(Context(f"Q: {case.prompt}\nA:", " ") for case in asked)
    return found


def test_parquet_has_every_row_with_its_answers(result: SweepResult, tmp_path: Path) -> None:
    table = pq.read_table(EXPORTS["parquet"](result, tmp_path, BEGUN))
    rows = table.to_pylist()
    assert len(rows) == len(result.rows) == 20
    for (prompt, row), found in zip(result.rows, rows, strict=True):
        assert (found["prompt"], found["case"]) == (prompt, row.case)
        for metric, score in row.metrics.items():
            assert found[metric] == (score if isinstance(score, float) else None)
    assert rows[0]["unscored"] == "too long: 9" and rows[1]["unscored"] is None
    assert rows[1]["true_log_likelihoods"] == [-1.0, -2.5]
    assert rows[1]["correct_answers"] == ["yes", "indeed"]
    assert rows[1]["context"] == "Q: truthfulness question 1?\nA:"
    document = json.loads(table.schema.metadata[b"truing"])
    mean = np.mean([r["mc1"] for r in rows[1:5]])
    figures = document["candidates"]["middle <b>one</b>"]["truthfulness"]["own"]
    assert figures["mc1"]["value"] == pytest.approx(mean)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_lm_eval_has_results_and_samples_for_each_prompt(
    result: SweepResult, tmp_path: Path
) -> None:
    top = EXPORTS["lm-eval"](result, tmp_path, BEGUN)
    place = top / "own" / "middle __b__one__b__"
    date = "2026-03-04T05-06-07+00-00"
    assert sorted(file.name for file in place.iterdir()) == [
        f"results_{date}.json",
        f"samples_trivia_{date}.jsonl",
        f"samples_truthfulness_{date}.jsonl",
    ]
    found = _json(place / f"results_{date}.json")
    lines = (place / f"samples_truthfulness_{date}.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    assert "mc1" not in samples[0] and samples[0]["metrics"] == []  # unscored: left out
    scores = [sample["mc1"] for sample in samples[1:]]
    figures = found["results"]["truthfulness"]
    assert figures["mc1,none"] == pytest.approx(np.mean(scores))
    assert figures["mc1_stderr,none"] == pytest.approx(np.std(scores, ddof=1) / 2)
    assert found["n-samples"]["truthfulness"] == {"original": 5, "effective": 5}
    one = samples[1]
    assert one["arguments"]["gen_args_2"] == {
        "arg_0": "Q: truthfulness question 1?\nA:",
        "arg_1": " no",
    }
    assert one["filtered_resps"][:2] == [["-1.0", "None"], ["-2.5", "None"]]
    assert one["resps"] == [[response] for response in one["filtered_resps"]]
    # What its own `process_results_mc2` makes of such responses.
    values = np.exp([float(r[0]) for r in one["filtered_resps"] if r[0] != "None"])
    assert values[:2].sum() / values.sum() == pytest.approx(
        (math.exp(-1) + math.exp(-2.5))
        / (math.exp(-1) + math.exp(-2.5) + math.exp(float(one["filtered_resps"][2][0])))
    )


def test_inspect_has_a_log_for_each_line(result: SweepResult, tmp_path: Path) -> None:
    top = EXPORTS["inspect"](result, tmp_path, BEGUN)
    logs = [_json(path) for path in sorted(top.iterdir())]
    assert len(logs) == len(result.lines) == 4
    [log] = [
        found for found in logs
        if found["eval"]["task"] == "truthfulness" and found["eval"]["task_args"]["prompt"] == "own"
    ]  # fmt: skip
    assert (log["version"], log["status"]) == (2, "success")
    assert log["eval"]["created"] == "2026-03-04T05:06:07+00:00"
    first, second = log["samples"][:2]
    assert first["scores"] == {} and first["metadata"]["unscored"]["mc1"] == "too long: 9"
    assert second["target"] == ["yes", "indeed"] and second["choices"] == [
        "yes", "indeed", "no", "never"
    ]  # fmt: skip
    assert second["output"]["completion"] in ("yes", "no")
    [mc1] = [score for score in log["results"]["scores"] if score["name"] == "mc1"]
    assert (mc1["scored_samples"], mc1["unscored_samples"]) == (4, 1)
    values = [sample["scores"]["mc1"]["value"] for sample in log["samples"][1:]]
    assert mc1["metrics"]["mean"]["value"] == pytest.approx(np.mean(values))


def test_written_again_files_replace_themselves(result: SweepResult, tmp_path: Path) -> None:
    def written() -> dict[str, bytes]:
        return {
            str(path.relative_to(tmp_path)): path.read_bytes()
            for path in sorted(tmp_path.rglob("*"))
            if path.is_file()
        }

    for write in EXPORTS.values():
        write(result, tmp_path, BEGUN)
    before = written()
    for write in EXPORTS.values():
        write(result, tmp_path, BEGUN)
    assert written() == before


def test_an_endpoints_rows_without_contexts_are_exported_too(tmp_path: Path) -> None:
    bare = synthetic_sweep(names=["small-one"], prompts=["own"], questions=2)
    for _, row in bare.rows:
        row.detail.pop("log_likelihoods")
        row.detail["answer"] = "I don't know."
    bare.models["small-one"]["parameters"] = None
    for write in EXPORTS.values():
        write(bare, tmp_path, BEGUN)
    [row, *_] = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert (row["context"], row["answer"]) == (None, "I don't know.")
    assert row["true_log_likelihoods"] is None


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(InputError, match=r"--export csv: .* parquet, lm-eval, inspect"):
        exports(["parquet", "csv"])
