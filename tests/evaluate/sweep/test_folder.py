"""The table of rows that spreadsheets read."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from synthetic_sweep import synthetic_sweep
from truing.evaluate.sweep.folder import sweep_folder, write_sweep
from truing.terminal import harmless


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "- a list", "@SUM(A1)", "\t=1", "\r=1", "＝1"]
)
def test_no_cell_is_a_formula_and_numbers_stay_numbers(text: str, tmp_path: Path) -> None:
    result = synthetic_sweep(names=["small-one"], prompts=["own"], questions=3)
    result.rows = [
        (prompt, replace(row, candidate=text, metrics={**row.metrics, "mc2": -0.5}, category=text,
                         detail={**row.detail, "question": text, "answer": text}))
        for prompt, row in result.rows
    ]  # fmt: skip
    folder = sweep_folder(result.spec, tmp_path / "out")
    write_sweep(result, folder, "truing eval")
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result.rows)
    for row in rows:
        for name in ("candidate", "category", "question", "answer"):
            assert row[name] == f"'{harmless(text)}"
        assert row["mc2"] == "-0.5"


def test_no_cell_acts_on_a_terminal(tmp_path: Path) -> None:
    text = "No.\x1b[2J\x07\r \x9b31m \u202efdp.exe\x00\nTwo\tlines"
    result = synthetic_sweep(names=["small-one"], prompts=["own"], questions=3)
    result.rows = [
        (
            prompt,
            replace(row, category=text, detail={**row.detail, "question": text, "answer": text}),
        )
        for prompt, row in result.rows
    ]
    folder = sweep_folder(result.spec, tmp_path / "out")
    write_sweep(result, folder, "truing eval")
    table = (folder / "rows.csv").read_bytes().decode("utf-8")
    assert table == harmless(table)
    for row in csv.DictReader(table.splitlines(keepends=True)):
        assert row["answer"] == row["question"] == row["category"] == harmless(text)
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    assert json.loads(lines[0])["detail"]["answer"] == text


def test_what_is_no_formula_is_as_it_was(tmp_path: Path) -> None:
    result = synthetic_sweep(names=["small-one"], prompts=["own"], questions=3)
    folder = sweep_folder(result.spec, tmp_path / "out")
    write_sweep(result, folder, "truing eval")
    assert "'" not in (folder / "rows.csv").read_text(encoding="utf-8")
